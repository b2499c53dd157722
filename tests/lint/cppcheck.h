/* What cppcheck must know of libraries whose headers it does not read. Never compiled. */
#define PROTOBUF_C_VERSION_NUMBER 1004001
#define PROTOBUF_C_MIN_COMPILER_VERSION 1000000
#define json_array_foreach(array, index, value)                                                    \
    for (index = 0; (value = json_array_get(array, index)); index++)
#define json_object_foreach(object, key, value)                                                    \
    for (void *at = json_object_iter(object);                                                      \
         at && (key = json_object_iter_key(at)) && (value = json_object_iter_value(at));           \
         at = json_object_iter_next(object, at))
