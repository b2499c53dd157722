/* Who is asking and what they may do: pure decisions over facts of the connection. No state; any
 * thread. The only thing asked of the system is a user's name.
 *
 * The Host and Origin checks keep a web page in somebody's browser away from the loopback ports:
 * a name that an attacker lets point to 127.0.0.1 (DNS rebinding) is not among the hosts known
 * here, and a cross-site request names its origin.
 */
#include <arpa/inet.h>
#include <pwd.h>

#include "lib/access/access.h"
#include "lib/access/origin.h"

/* getpwuid_r's buffer: one line of the password file. */
#define PASSWD_LINE_MAX 4096
/* Longest textual IP address and NUL. */
#define ADDRESS_TEXT_MAX 64

#define HINT_ALLOWED_HOSTS "add the name to the option allowed_hosts"
#define HINT_ALLOWED_ORIGINS "add the page's origin to the option allowed_origins"
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
                                      mw_detail *detail)
{
    if (!host_allowed(policy, facts->host))
        return mw_detail_set(detail, MW_E_DENIED, "host", HINT_ALLOWED_HOSTS,
                             "the Host of this request is neither localhost, a loopback address "
                             "nor in allowed_hosts");
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

static mw_err check_tokenless_scope(mw_scope wanted, mw_detail *detail)
{
    switch (wanted) {
    case MW_SCOPE_NONE:
    case MW_SCOPE_INGEST:
    case MW_SCOPE_WEBHOOK:
    case MW_SCOPE_READ: return MW_OK;
    case MW_SCOPE_OPERATE: break;
    }
    return mw_detail_set(detail, MW_E_DENIED, "", HINT_OPERATE,
                         "changes need the unix socket or a token with the scope operate");
}

mw_err mw_access_check(const mw_access_policy *policy, const mw_access_facts *facts,
                       mw_scope wanted, mw_principal *who, mw_detail *detail)
{
    if (facts->local) {
        name_local_user(facts->uid, who);
        return MW_OK;
    }
    name_tokenless(facts, who);
    if (wanted == MW_SCOPE_NONE)
        return MW_OK;
    if (!facts->loopback && !policy->insecure_listen)
        return mw_detail_set(detail, MW_E_DENIED, "address",
                             "connect from this machine, or set insecure_listen",
                             "other machines are not allowed without TLS and a token");
    mw_err err = check_origin_of_request(policy, facts, detail);
    return err == MW_OK ? check_tokenless_scope(wanted, detail) : err;
}
