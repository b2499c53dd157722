/* The list of sources. To add one: write its adapter and name it here twice. */
#include "webhook/source_int.h"

static const mw_webhook_source *const sources[] = {&mw_source_devops_agent, &mw_source_alertmanager,
                                                   &mw_source_generic};

const mw_webhook_source *mw_webhook_source_find(mw_slice name)
{
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        if (mw_slice_equal(name, mw_slice_of(sources[i]->name)))
            return sources[i];
    return NULL;
}

const char *mw_webhook_source_names(void)
{
    return "devops-agent, alertmanager, generic";
}

static const struct {
    const char *name;
    unsigned auth;
} auths[] = {{"hmac", MW_AUTH_HMAC}, {"bearer", MW_AUTH_BEARER}};

unsigned mw_webhook_auth_find(mw_slice name)
{
    for (size_t i = 0; i < sizeof auths / sizeof auths[0]; i++)
        if (mw_slice_equal(name, mw_slice_of(auths[i].name)))
            return auths[i].auth;
    return 0;
}

const char *mw_webhook_auth_name(unsigned auth)
{
    for (size_t i = 0; i < sizeof auths / sizeof auths[0]; i++)
        if (auth == auths[i].auth)
            return auths[i].name;
    return "";
}
