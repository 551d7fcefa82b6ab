/* What differs between Linux, macOS and Windows. */
#include <stdint.h>
#include <stdlib.h>

typedef int64_t wide; /* long has 32 bits on Windows */

#ifdef _WIN32
#include <malloc.h>
#define EXPORTED __declspec(dllexport)
static inline void *allocate_lines(size_t bytes) { return _aligned_malloc(bytes, 64); }
static inline void free_lines(void *memory) { _aligned_free(memory); }
#else
#define EXPORTED
static inline void *allocate_lines(size_t bytes) { return aligned_alloc(64, bytes); }
static inline void free_lines(void *memory) { free(memory); }
#endif
