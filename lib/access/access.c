/* Who is asking and what they may do: decisions over facts of the connection. No state of its own;
 * any thread. The only thing asked of the system is a user's name.
 *
 * The Host and Origin checks keep a web page in somebody's browser away from the loopback ports:
 * a name that an attacker lets point to 127.0.0.1 (DNS rebinding) is not among the hosts known
 * here, and a cross-site request names its origin.
 */
#include <arpa/inet.h>
#include <pwd.h>
#include <string.h>

#include "lib/access/access.h"
#include "lib/access/origin.h"
#include "lib/base/counter.h"

/* getpwuid_r's buffer: one line of the password file. */
#define PASSWD_LINE_MAX 4096
/* Longest textual IP address and NUL. */
#define ADDRESS_TEXT_MAX 64

#define HINT_ALLOWED_HOSTS "add the name to the option allowed_hosts"
#define HINT_ALLOWED_ORIGINS "add the page's origin to the option allowed_origins"
#define HINT_TOKEN "send Authorization: Bearer with a token of midwatch token create"
#define HINT_SOCKET "run as the daemon's user, with its --data"
#define HINT_OPERATE "run as the daemon's user (unix socket) or set MIDWATCH_TOKEN"

/* ---- hosts --------------------------------------------------------------------------------- */

static bool is_port(mw_slice text)
{
    uint64_t port;
    return text.len >= 1 && text.len <= 5 && mw_slice_u64(text, &port) == MW_OK && port <= 65535;
}

/* Cuts "host", "host:port", "[v6]" or "[v6]:port"; *name keeps its brackets. */
static bool split_host(mw_slice host, mw_slice *name)
{
    size_t end;
    if (host.len && host.data[0] == '[') {
        end = mw_slice_find_byte(host, ']');
        if (end == host.len)
            return false;
        end++;
    } else {
        end = mw_slice_find_byte(host, ':');
    }
    *name = mw_slice_first(host, end);
    mw_slice rest = mw_slice_from(host, end);
    return name->len && (rest.len == 0 || (rest.data[0] == ':' && is_port(mw_slice_from(rest, 1))));
}

static bool is_loopback_v6(mw_slice name)
{
    char text[ADDRESS_TEXT_MAX];
    struct in6_addr address;
    if (name.len < 2 || name.data[0] != '[')
        return false;
    mw_slice inner = mw_slice_first(mw_slice_from(name, 1), name.len - 2);
    return mw_slice_to_cstr(inner, text, sizeof text) && inet_pton(AF_INET6, text, &address) == 1 &&
           IN6_IS_ADDR_LOOPBACK(&address);
}

static bool is_loopback_v4(mw_slice name)
{
    char text[ADDRESS_TEXT_MAX];
    struct in_addr address;
    return mw_slice_to_cstr(name, text, sizeof text) && inet_pton(AF_INET, text, &address) == 1 &&
           ntohl(address.s_addr) >> 24 == 127;
}

/* An entry of allowed_hosts with a port asks for that port, one without takes any. */
static bool is_listed(mw_slice list, mw_slice host, mw_slice name)
{
    mw_slice entry;
    while (mw_slice_split(&list, ',', &entry)) {
        entry = mw_slice_trim(entry);
        if (entry.len && (mw_slice_equal_nocase(entry, name) || mw_slice_equal_nocase(entry, host)))
            return true;
    }
    return false;
}

static bool host_allowed(const mw_access_policy *policy, mw_slice host)
{
    mw_slice name;
    if (!split_host(host, &name))
        return false;
    return mw_slice_equal_nocase(name, MW_SLICE("localhost")) || is_loopback_v4(name) ||
           is_loopback_v6(name) || is_listed(policy->allowed_hosts, host, name);
}

/* "http://host[:port]" or https, nothing behind it (RFC 6454 6.2). "null" is neither. */
static bool origin_allowed(const mw_access_policy *policy, mw_slice origin)
{
    if (mw_origins_hold(policy->allowed_origins, origin))
        return true;
    static const mw_slice schemes[] = {MW_SLICE_INIT("http://"), MW_SLICE_INIT("https://")};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (mw_slice_equal_nocase(mw_slice_first(origin, schemes[i].len), schemes[i]))
            return host_allowed(policy, mw_slice_from(origin, schemes[i].len));
    return false;
}

static mw_err check_origin_of_request(const mw_access_policy *policy, const mw_access_facts *facts,
                                      mw_principal *who, mw_detail *detail)
{
    who->reason = "host";
    if (!host_allowed(policy, facts->host))
        return mw_detail_set(detail, MW_E_DENIED, "host", HINT_ALLOWED_HOSTS,
                             "the Host of this request is neither localhost, a loopback address "
                             "nor in allowed_hosts");
    who->reason = "origin";
    if (facts->origin.data && !origin_allowed(policy, facts->origin))
        return mw_detail_set(detail, MW_E_DENIED, "origin", HINT_ALLOWED_ORIGINS,
                             "the Origin of this request is neither localhost, a loopback "
                             "address nor in allowed_origins or allowed_hosts");
    return MW_OK;
}

/* ---- principals ---------------------------------------------------------------------------- */

static void name_local_user(uid_t uid, mw_principal *who)
{
    struct passwd entry, *found = NULL;
    char line[PASSWD_LINE_MAX];
    if (getpwuid_r(uid, &entry, line, sizeof line, &found) == 0 && found)
        snprintf(who->name, sizeof who->name, "local:%s", found->pw_name);
    else
        snprintf(who->name, sizeof who->name, "local:%lu", (unsigned long)uid);
}

/* Without a token a peer is known by where it comes from and nothing else. */
static void name_tokenless(const mw_access_facts *facts, mw_principal *who)
{
    char address[ADDRESS_TEXT_MAX];
    if (facts->loopback)
        snprintf(who->name, sizeof who->name, "loopback");
    else if (mw_slice_to_cstr(facts->address, address, sizeof address))
        snprintf(who->name, sizeof who->name, "peer:%.50s", address);
    else
        snprintf(who->name, sizeof who->name, "peer");
}

static mw_err check_tokenless_scope(mw_scope wanted, mw_principal *who, mw_detail *detail)
{
    switch (wanted) {
    case MW_SCOPE_NONE:
    case MW_SCOPE_INGEST:
    case MW_SCOPE_WEBHOOK:
    case MW_SCOPE_READ: return MW_OK;
    case MW_SCOPE_OPERATE:
    case MW_SCOPE_ADMINISTER: break;
    }
    who->reason = "no_credentials";
    return mw_detail_set(
        detail, MW_E_DENIED, "", wanted == MW_SCOPE_OPERATE ? HINT_OPERATE : HINT_SOCKET,
        wanted == MW_SCOPE_OPERATE
            ? "changes need the unix socket or a token with the scope operate"
            : "spaces, tokens and their switch are changed through the unix socket alone");
}

/* ---- tokens -------------------------------------------------------------------------------- */

/* Of a token for us, whatever else is wrong with it. An exporter may carry credentials for another
 * collector; where it needs none here, they are none of our business. */
static bool is_ours(mw_slice credentials)
{
    return mw_slice_starts(mw_tokens_bearer(credentials), MW_SLICE(MW_TOKEN_PREFIX));
}

static bool is_shown(const mw_access_facts *facts, mw_scope wanted, bool trusted_network)
{
    if (wanted == MW_SCOPE_WEBHOOK)
        return false; /* its Authorization is the endpoint's */
    if (wanted == MW_SCOPE_INGEST && trusted_network && facts->credentials_count == 1)
        return is_ours(facts->credentials);
    return facts->credentials_count > 0;
}

static unsigned scopes_for(mw_scope wanted)
{
    switch (wanted) {
    case MW_SCOPE_INGEST: return MW_TOKEN_INGEST;
    case MW_SCOPE_READ: return MW_TOKEN_READ | MW_TOKEN_OPERATE;
    case MW_SCOPE_OPERATE: return MW_TOKEN_OPERATE;
    default: return 0;
    }
}

static mw_err too_often(unsigned retry_after_s, mw_principal *who, mw_detail *detail)
{
    who->retry_after_s = retry_after_s;
    return mw_detail_set(detail, MW_E_BUSY, "authorization", "wait as long as Retry-After says",
                         "too many requests");
}

/* The same words whatever is wrong: what differs is for the audit. */
static mw_err unauthenticated(const mw_access_policy *policy, const mw_access_facts *facts,
                              mw_principal *who, mw_detail *detail)
{
    uint8_t key[16];
    unsigned retry_after_s = 1;
    if (policy->failures && !facts->again &&
        !mw_limiter_take(policy->failures, mw_limiter_address(facts->address, key),
                         MW_RATE_FAILURES, facts->mono_ns, &retry_after_s))
        return too_often(retry_after_s, who, detail);
    return mw_detail_set(detail, MW_E_UNAUTHENTICATED, "authorization", HINT_TOKEN,
                         "the credentials are not valid");
}

static void name_token(const mw_token_answer *answer, mw_principal *who)
{
    if (!answer->id[0])
        return;
    snprintf(who->name, sizeof who->name, "token:%.12s %s", answer->id, answer->name);
    memcpy(who->token_id, answer->id, sizeof who->token_id);
    memcpy(who->space, answer->space, sizeof who->space);
}

/* The counters stand in the order of the refusals. */
static void count_refusal(const mw_access_facts *facts, mw_token_refusal refusal)
{
    _Static_assert(MW_COUNT_TOKEN_UNAVAILABLE - MW_COUNT_TOKEN_SWITCHED_OFF ==
                       MW_TOKEN_UNAVAILABLE - MW_TOKEN_SWITCHED_OFF,
                   "a counter for each refusal");
    if (refusal != MW_TOKEN_GOOD && !facts->again)
        mw_count(MW_COUNT_TOKEN_SWITCHED_OFF + (refusal - MW_TOKEN_SWITCHED_OFF), 1);
}

static mw_err deny(mw_token_refusal refusal, mw_scope wanted, const char *space, mw_detail *detail)
{
    char hint[sizeof detail->hint];
    if (refusal == MW_TOKEN_FOREIGN_ADDRESS)
        return mw_detail_set(detail, MW_E_DENIED, "address", "see midwatch token show",
                             "access denied: this token is not for this address");
    if (refusal == MW_TOKEN_SWITCHED_OFF) {
        snprintf(hint, sizeof hint, "midwatch space token-access on%s%s",
                 space[0] ? " --space " : "", space);
        return mw_detail_set(detail, MW_E_DENIED, "token_access", hint,
                             "access by token is switched off");
    }
    if (wanted == MW_SCOPE_ADMINISTER)
        return mw_detail_set(
            detail, MW_E_DENIED, "scope", HINT_SOCKET,
            "spaces, tokens and their switch are changed through the unix socket alone");
    return mw_detail_set(detail, MW_E_DENIED, "scope",
                         "make one with midwatch token create --scope",
                         "this token lacks the scope %s",
                         wanted == MW_SCOPE_INGEST ? "ingest"
                         : wanted == MW_SCOPE_READ ? "read"
                                                   : "operate");
}

static mw_err check_token(const mw_access_policy *policy, const mw_access_facts *facts,
                          mw_scope wanted, mw_principal *who, mw_detail *detail)
{
    mw_token_answer answer = {.refusal = MW_TOKEN_UNKNOWN};
    mw_token_question question = {.credentials = facts->credentials,
                                  .address = facts->address,
                                  .wanted = scopes_for(wanted),
                                  .governed = wanted != MW_SCOPE_INGEST,
                                  .again = facts->again,
                                  .wall_ns = facts->wall_ns,
                                  .mono_ns = facts->mono_ns};
    if (facts->credentials_count > 1) {
        who->reason = "credentials_twice";
        return mw_detail_set(detail, MW_E_INVALID, "authorization", "send it once",
                             "the header Authorization was sent more than once");
    }
    if (policy->tokens)
        mw_tokens_judge(policy->tokens, &question, &answer);
    name_token(&answer, who);
    who->reason = mw_token_refusal_name(answer.refusal);
    count_refusal(facts, answer.refusal);
    switch (answer.refusal) {
    case MW_TOKEN_GOOD: return MW_OK;
    case MW_TOKEN_SWITCHED_OFF:
    case MW_TOKEN_FOREIGN_ADDRESS:
    case MW_TOKEN_LACKS_SCOPE: return deny(answer.refusal, wanted, answer.space, detail);
    case MW_TOKEN_TOO_OFTEN: return too_often(answer.retry_after_s, who, detail);
    case MW_TOKEN_UNAVAILABLE:
        who->retry_after_s = 1;
        return mw_detail_set(detail, MW_E_CLOSED, "authorization", "try again",
                             "tokens cannot be looked up now");
    default: return unauthenticated(policy, facts, who, detail);
    }
}

/* ---- the decision -------------------------------------------------------------------------- */

/* Another machine without a token of ours. A signed webhook carries what lets it in. */
static mw_err check_stranger(const mw_access_policy *policy, const mw_access_facts *facts,
                             mw_scope wanted, mw_principal *who, mw_detail *detail)
{
    who->reason = "foreign_address";
    if (!facts->tls)
        return mw_detail_set(detail, MW_E_DENIED, "address",
                             "connect from this machine, or set insecure_listen",
                             "other machines are not allowed without TLS and a token");
    if (wanted == MW_SCOPE_WEBHOOK)
        return MW_OK;
    who->reason = "no_credentials";
    return unauthenticated(policy, facts, who, detail);
}

mw_err mw_access_check(const mw_access_policy *policy, const mw_access_facts *facts,
                       mw_scope wanted, mw_principal *who, mw_detail *detail)
{
    bool trusted_network = facts->loopback || policy->insecure_listen;
    memset(who, 0, sizeof *who);
    if (facts->local) {
        name_local_user(facts->uid, who);
        return MW_OK;
    }
    name_tokenless(facts, who);
    if (wanted == MW_SCOPE_NONE)
        return MW_OK;
    /* Queries are written down by proxies and shown in histories. */
    if (wanted != MW_SCOPE_WEBHOOK && mw_slice_contains(facts->query, MW_SLICE(MW_TOKEN_PREFIX))) {
        who->reason = "token_in_query";
        return unauthenticated(policy, facts, who, detail);
    }
    if (is_shown(facts, wanted, trusted_network) && (trusted_network || facts->tls))
        return check_token(policy, facts, wanted, who, detail);
    if (!trusted_network)
        return check_stranger(policy, facts, wanted, who, detail);
    mw_err err = check_origin_of_request(policy, facts, who, detail);
    return err == MW_OK ? check_tokenless_scope(wanted, who, detail) : err;
}
