/* Spans out of attributes, and the facts they give. What is made lives until the next call. */
#ifndef MW_TESTS_FACTS_FIXTURE_H
#define MW_TESTS_FACTS_FIXTURE_H

#include "collector/facts.h"
#include "collector/resolve.h"
#include "proto/attribute_walk.h"
#include "tests/check.h"
#include "tests/otlp_writer.h"

typedef struct attribute {
    const char *key;
    const char *text; /* NULL = number */
    int64_t number;
} attribute;

#define TEXT(key, text) ((attribute){key, text, 0})
#define NUMBER(key, number) ((attribute){key, NULL, number})
#define LIST(...)                                                                                  \
    (const attribute[])                                                                            \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, NULL, 0                                                                          \
        }                                                                                          \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static mw_arena arena;

/* A message whose attributes are field `number`; ends at the key NULL. */
static inline otlp_writer message_of(uint32_t number, const attribute *list)
{
    otlp_writer message = {0};
    for (; list && list->key; list++) {
        if (list->text)
            put_text_attribute(&message, number, list->key, list->text);
        else
            put_int_attribute(&message, number, list->key, list->number);
    }
    return message;
}

static inline mw_facts_place place_of(uint32_t number, const attribute *list)
{
    static otlp_writer message;
    mw_facts_place place;
    free(message.data);
    message = message_of(number, list);
    mw_facts_read(&place, written(&message), number);
    return place;
}

/* The facts of a span with this row, its attributes and its resource's (NULL = none). */
static inline mw_span_facts facts_with(const mw_span_row *row, const attribute *list,
                                       const attribute *resource)
{
    static otlp_writer span;
    mw_span_facts facts;
    free(span.data);
    span = message_of(MW_ATTRIBUTES_OF_SPAN, list);
    mw_facts_place around = place_of(MW_ATTRIBUTES_OF_RESOURCE, resource);
    mw_facts_of_span(written(&span), &around, NULL, row, &arena, &facts);
    return facts;
}

static inline mw_span_facts facts_of(const attribute *list)
{
    const mw_span_row row = {.kind = 3};
    return facts_with(&row, list, NULL);
}

#endif
