/* Random attributes, as OTLP bytes and as what a naive model knows of them: key and text.
 *
 * Keys and values come from small sets, so that equal ones are frequent. Messages are written by
 * hand, with fields in odd orders and repeated ones among them.
 */
#ifndef MW_TEST_ATTRIBUTE_MODEL_H
#define MW_TEST_ATTRIBUTE_MODEL_H

#include <math.h>

#include "tests/otlp_writer.h"
#include "tests/unit/lib-store/store_test.h"

typedef struct model_attribute {
    char key[160], text[64];
    bool comparable; /* has a text at all */
} model_attribute;

static const char *const model_keys[] = {"a", "http.route", "k", "gen_ai.usage.output_tokens",
                                         "",  "http.routes"};
static const char *const model_texts[] = {"",      "5",        "5.0", "true",  "x",
                                          "false", "-1",       "NaN", "value", "-0.0",
                                          "1e+20", "Infinity", "0.1", "05"};

/* What the API shows of these, written down and not computed. */
static const struct {
    double value;
    const char *text;
} model_doubles[] = {{5, "5.0"},
                     {-0.0, "-0.0"},
                     {0.1, "0.1"},
                     {1e20, "1e+20"},
                     {(double)INFINITY, "Infinity"},
                     {(double)-INFINITY, "-Infinity"},
                     {(double)NAN, "NaN"},
                     {-(double)NAN, "NaN"},
                     {1.5e-7, "1.5e-07"}};

static inline size_t model_pick(test_random *random, size_t count)
{
    return (size_t)random_below(random, count);
}

/* Writes an AnyValue's member and what it is as text. */
static inline void model_value(otlp_writer *out, test_random *random, model_attribute *model)
{
    static const int64_t integers[] = {5, 0, -1, INT64_MIN, INT64_MAX, 9007199254740993};
    size_t at;
    bool yes;

    model->comparable = true;
    switch (random_below(random, 8)) {
    case 0:
        yes = random_below(random, 2);
        put_number(out, 2, yes);
        snprintf(model->text, sizeof model->text, "%s", yes ? "true" : "false");
        break;
    case 1:
    case 2:
        at = model_pick(random, sizeof integers / sizeof integers[0]);
        put_number(out, 3, (uint64_t)integers[at]);
        snprintf(model->text, sizeof model->text, "%lld", (long long)integers[at]);
        break;
    case 3:
        at = model_pick(random, sizeof model_doubles / sizeof model_doubles[0]);
        put_double(out, 4, model_doubles[at].value);
        snprintf(model->text, sizeof model->text, "%s", model_doubles[at].text);
        break;
    case 4:
        model->comparable = false;
        put_text(out, random_below(random, 2) ? 7 : 5, random_below(random, 2) ? "" : "\x0a\x00");
        break;
    default:
        at = model_pick(random, sizeof model_texts / sizeof model_texts[0]);
        put_text(out, 1, model_texts[at]);
        snprintf(model->text, sizeof model->text, "%s", model_texts[at]);
    }
}

/* Appends a KeyValue as field `number`. */
static inline void model_attribute_put(otlp_writer *out, uint32_t number, test_random *random,
                                       model_attribute *model)
{
    otlp_writer pair = {0}, value = {0};
    bool usual = random_below(random, 4) > 0;

    memset(model, 0, sizeof *model);
    snprintf(model->key, sizeof model->key, "%s",
             model_keys[model_pick(random, sizeof model_keys / sizeof model_keys[0])]);
    if (random_below(random, 20) == 0)
        memset(model->key, 'z', 140); /* its length takes two bytes */
    if (!usual && random_below(random, 2)) {
        put_text(&value, 1, "overridden");
        put_number(&pair, 3, 1); /* of profiles alone */
        put_text(&pair, 1, "overridden");
    }
    model_value(&value, random, model);
    if (!usual)
        put_bytes(&pair, 2, value.data, value.len);
    put_text(&pair, 1, model->key);
    if (usual)
        put_bytes(&pair, 2, value.data, value.len);
    put_bytes(out, number, pair.data, pair.len);
    free(value.data);
    free(pair.data);
}

/* Does the last attribute of that key have that text? */
static inline bool model_holds(const model_attribute *all, size_t count, const char *key,
                               const char *text)
{
    for (size_t i = count; i-- > 0;)
        if (strcmp(all[i].key, key) == 0)
            return all[i].comparable && strcmp(all[i].text, text) == 0;
    return false;
}

#endif
