/* The numbers, as the program has them. See thresholds.h. */
#include "triage/evidence/thresholds.h"

const mw_thresholds mw_thresholds_default = {.z_sure = 2.33,
                                             .effect_sure = 8.0,
                                             .z_part = 1.0,
                                             .effect_part = 3.0,
                                             .share_sure = 3.5,
                                             .share_part = 2.0,
                                             .far_trust = 0.75,
                                             .added_sure = 3.0,
                                             .explained_share = 0.02,
                                             .self_share = 0.1,
                                             .victim_share = 0.5,
                                             .other_share = 0.04};
