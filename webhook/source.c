/* The list of sources. To add one: write its adapter and name it here twice. */
#include "webhook/source_int.h"

static const mw_webhook_source *const sources[] = {&mw_source_devops_agent};

const mw_webhook_source *mw_webhook_source_find(mw_slice name)
{
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        if (mw_slice_equal(name, mw_slice_of(sources[i]->name)))
            return sources[i];
    return NULL;
}

const char *mw_webhook_source_names(void)
{
    return "devops-agent";
}
