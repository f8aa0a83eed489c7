/*
 * renga.h: the C interface of Renga: build, train and run convolutional networks on CPUs.
 * This header is the contract: the library implements exactly these declarations, and the compiler checks it.
 * Not here: kernels, plans, file formats (how it is done), and anything experimental.
 *
 * Conventions
 *   Names      renga_<noun>_<verb>. Nouns: network, session, dataset, trainer.
 *   Status     Every function that can fail returns renga_status. RENGA_OK is 0. On any other value renga_last_error() says in one
 *              sentence what, where, expected and got; objects stay as they were and out-parameters are NULL or 0.
 *   Shapes     Letters: N images, H rows, W columns, C channels. Maps are [N,H,W,C], C fastest, unless a layout says otherwise.
 *              A flat vector is [N,1,1,C].
 *   Weights    Convolution [R,S,C/G,K], linear [C,K], per-channel parameters [C]; K outputs fastest.
 *   Handles    Opaque; made by …_create/_load/…, broken by …_free, in any order: no handle needs another one alive. …_free(NULL) is
 *              fine. NULL and a handle of another kind are refused (…_free leaves the latter alone). A handle must not be used, nor
 *              freed again, after its free, nor freed while another thread uses it: that cannot be detected safely.
 *   Ownership  Pointers that go in are read during the call only. Text that comes out as char ** belongs to the caller and is freed
 *              by renga_text_free; text that comes out as const char ** is borrowed, its comment says for how long.
 *   Text       UTF-8, NUL-terminated, at most RENGA_MAX_TEXT bytes. Options are "name=value,name=value". JSON comes out compact.
 *   Threads    Different handles may be used from different threads at once. One handle may be shared: calls on it are safe and run one
 *              after another, except that a trainer at work answers RENGA_ERROR_BUSY. renga_last_error() is the calling thread's own.
 *              No call is async-signal-safe. fork() is fine between calls; the child goes on with its copies of the handles.
 *              `threads` of a session or trainer counts the calling thread. 0 = renga_default_threads(); 1 starts none. No call of theirs
 *              has more at work. The same bits for any count.
 *   Options    Structs begin with their size: fill them by …_init(&options, sizeof options), then set fields. New fields go at the end;
 *              the library reads and writes only inside `size`, and takes defaults for what lies beyond. Fields of a newer header that
 *              this library does not know must be 0, else RENGA_ERROR_UNSUPPORTED.
 *   Numbers    Functions, codes of enums, field orders and bounds are stable as long as the SONAME, librenga.so.0, stays: a program built with
 *              an older header runs with a newer library. Nothing is taken away, new functions, fields and codes come at the end.
 *   Host       The library installs no signal handler, writes nothing to stdout or stderr, changes no OpenMP or locale setting, and
 *              never calls exit or abort.
 */
#ifndef RENGA_H
#define RENGA_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
#define RENGA_API __attribute__((visibility("default")))
#define RENGA_MUST_CHECK __attribute__((warn_unused_result))
#else
#define RENGA_API
#define RENGA_MUST_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status ------------------------------------------------------------------------------------------------------------------- */

/* What happened. Values are stable for ever; new ones may be added below 99: treat an unknown one as a failure. */
typedef enum renga_status {
  RENGA_OK = 0,
  RENGA_ERROR_INVALID_ARGUMENT = 1, /* a value, size, name or option outside its bounds */
  RENGA_ERROR_SHAPE_MISMATCH = 2,   /* shapes, types or layouts that do not fit each other */
  RENGA_ERROR_NULL_POINTER = 3,     /* a required pointer was NULL */
  RENGA_ERROR_OUT_OF_MEMORY = 4,    /* no memory for a buffer of the asked size */
  RENGA_ERROR_FILE = 5,             /* a file could not be opened, read, written, synced or renamed */
  RENGA_ERROR_CORRUPT_DATA = 6,     /* contents are not what their format says */
  RENGA_ERROR_UNSUPPORTED = 7,      /* well-formed, but beyond what this version does */
  RENGA_CANCELLED = 8,              /* a callback of yours asked to stop */
  RENGA_ERROR_BUSY = 9,             /* the object is in use, or not in a state for this call */
  RENGA_ERROR_NOT_FINITE = 10,      /* loss or data became NaN or infinite where that has no meaning */
  RENGA_ERROR_NOT_FOUND = 11,       /* an unknown name; the message lists the known ones */
  RENGA_ERROR_INTERNAL = 99         /* a fault of Renga itself */
} renga_status;

/* The sentence of the calling thread's last failure, in English, less than RENGA_MAX_MESSAGE bytes; "" before the first. Never NULL.
 * Owned by the library, valid until this thread's next renga call: copy it to keep it. A success does not clear it. */
RENGA_API const char *renga_last_error(void);
/* "RENGA_OK", "RENGA_ERROR_FILE", …; "unknown status" for other numbers. Static text. */
RENGA_API const char *renga_status_name(int32_t status);
/* Frees text that a renga function returned. NULL is fine. */
RENGA_API void renga_text_free(char *text);

/* ---- Bounds ------------------------------------------------------------------------------------------------------------------- */

#define RENGA_MAX_THREADS 256             /* of a session or trainer */
#define RENGA_MAX_EXTENT 1073741824       /* of any one of N, H, W, C: 2^30 */
#define RENGA_MAX_ELEMENTS 1099511627776  /* of any one tensor: 2^40 */
#define RENGA_MAX_INPUTS 64               /* of one layer, and inputs or outputs of one network */
#define RENGA_MAX_RANK 4                  /* dimensions of a parameter */
#define RENGA_MAX_NAME 200                /* bytes of the name of a layer or input: letters, digits and _ - . / : */
#define RENGA_MAX_TEXT 1048576            /* bytes of any text that goes in */
#define RENGA_MAX_MESSAGE 1024            /* bytes of renga_last_error(), its NUL included */
#define RENGA_MAX_RUNS 100000             /* of renga_session_profile and renga_trainer_profile */

/* ---- Version and machine ------------------------------------------------------------------------------------------------------ */

#define RENGA_VERSION_MAJOR 0
#define RENGA_VERSION_MINOR 2
#define RENGA_VERSION_PATCH 0
/* The oldest header whose programs run with this version's library, as a number like the next: that of the last change of the SONAME. */
#define RENGA_VERSION_OLDEST 100
/* major * 10000 + minor * 100 + patch of this header. */
#define RENGA_VERSION_NUMBER (RENGA_VERSION_MAJOR * 10000 + RENGA_VERSION_MINOR * 100 + RENGA_VERSION_PATCH)

/* The library's version, "0.2.0": static text. */
RENGA_API const char *renga_version(void);
/* The library's version as a number, made like RENGA_VERSION_NUMBER. */
RENGA_API int32_t renga_version_number(void);
/* Checks a header's version (pass RENGA_VERSION_NUMBER) against the library: not older than the library's RENGA_VERSION_OLDEST, and of no
 * newer minor version than the library.
 * Errors: RENGA_ERROR_UNSUPPORTED, the sentence says which side is older; RENGA_ERROR_INVALID_ARGUMENT for a number that is no version. */
RENGA_API renga_status renga_version_check(int32_t header_version_number);
/* What runs here, as JSON: {"version","isa" (in use),"threads" (default),"build":{"compiler","mode","platform"}}. Free by renga_text_free.
 * isa: "amx" and "avx512_bf16" (AVX-512 with products of bf16), "avx512", "avx2", "generic" (portable C) or "reference" (plain loops,
 * slow). The best that the processor has; the environment's RENGA_ISA, read at the first use, forces a lower one. */
RENGA_API RENGA_MUST_CHECK renga_status renga_runtime_info(char **out_json);
/* What this machine can do at most, measured now in about half a second: {"threads","f32_gflops","bf16_gflops" (multiply-adds, two
 * operations each; 0 where the processor has no tiles for bf16),"read_gbytes_per_s","write_gbytes_per_s" (memory beyond a core's caches)}.
 * threads: 1 … RENGA_MAX_THREADS; 0 = renga_default_threads(). Errors: RENGA_ERROR_OUT_OF_MEMORY (it takes 128 MiB meanwhile). */
RENGA_API RENGA_MUST_CHECK renga_status renga_machine_peaks(int32_t threads, char **out_json);
/* Threads that sessions and trainers use unless told otherwise: min(affinity, cgroup quota, OMP_NUM_THREADS, RENGA_NUM_THREADS), at least
 * 1 and at most RENGA_MAX_THREADS. Read anew at each call. */
RENGA_API int32_t renga_default_threads(void);

/* ---- Tensors across the border ------------------------------------------------------------------------------------------------ */

/* Element types. */
typedef enum renga_element {
  RENGA_F32 = 0, /* IEEE single */
  RENGA_U8 = 1   /* 0 … 255, taken as that number; sources only */
} renga_element;

/* What sessions and trainers compute in: the element type of activations, their gradients and packed weights. Products are summed in f32
 * in any; parameters, statistics, logits, loss and all numbers that cross this border are f32. */
typedef enum renga_precision {
  RENGA_PRECISION_F32 = 0,
  RENGA_PRECISION_BF16 = 1 /* the upper half of an f32: its range with 8 bits of precision, half the memory; fast with AMX and AVX-512-BF16 */
} renga_precision;

/* Orders of the four axes in memory. */
typedef enum renga_layout { RENGA_NHWC = 0, RENGA_NCHW = 1, RENGA_STRIDED = 2 /* as a renga_strided says: sources only */ } renga_layout;

/* Extents of a batch; each 1 … RENGA_MAX_EXTENT, their product at most RENGA_MAX_ELEMENTS. */
typedef struct renga_shape {
  int64_t n, h, w, c;
} renga_shape;

/* A batch of images that the caller owns and the call only reads: dense, or as a renga_strided says. No alignment is asked for.
 * u8 images are normalised on the way in where the network's metadata holds "renga.normalization" ({"mean":[C],"scale":[C]}: the network
 * sees (pixel - mean[c]) * scale[c]), and taken as 0 … 255 where not; f32 images are always taken as they are. */
typedef struct renga_source {
  const void *data;     /* n * h * w * c elements in `layout`; with RENGA_STRIDED a renga_strided */
  renga_shape shape;    /* what the caller says it is; checked against what is expected */
  int32_t element;      /* renga_element */
  int32_t layout;       /* renga_layout */
} renga_source;

/* Images that are not dense: a part of larger ones, mirrored or repeated ones, other orders of axes, padded rows. Sessions and trainers
 * read them in the one pass that also converts and normalises; a data set copies them. Strides are in bytes, of either sign, and may be 0;
 * that of an axis with one element is not read. Where `begin` is not NULL, all elements must lie in [begin, begin + bytes).
 * Errors: RENGA_ERROR_INVALID_ARGUMENT (elements outside that, or beyond any memory). */
typedef struct renga_strided {
  size_t size;          /* sizeof(renga_strided), set by renga_strided_init */
  const void *data;     /* image 0, row 0, column 0, channel 0 */
  int64_t n, h, w, c;   /* bytes from one image, row, column, channel to the next */
  const void *begin;    /* the memory that the images are a part of; NULL (default) = not checked */
  size_t bytes;         /* of that memory */
} renga_strided;
/* Clears `size` bytes (pass sizeof(renga_strided)) and notes the size. NULL or an impossible size does nothing. */
RENGA_API void renga_strided_init(renga_strided *strided, size_t size);

/* ---- Network: a value ---------------------------------------------------------------------------------------------------------- */

/* A network: operators in topological order plus named parameters. It never runs by itself.
 * Made by renga_network_create, _load, _load_memory, _fold_batch_norm, _import_onnx, _import_onnx_memory, renga_builder_finish, renga_trainer_network; broken by
 * renga_network_free. */
typedef struct renga_network renga_network;

/* The architectures with their options, defaults, bounds and documentation, as JSON:
 * {"architectures":[{"name","documentation","options":[{"name","kind","default","minimum","maximum","choices","documentation"}]}]}. */
RENGA_API RENGA_MUST_CHECK renga_status renga_architectures(char **out_json);
/* The operators that renga_builder_add_layer takes, in the same form under "operators". */
RENGA_API RENGA_MUST_CHECK renga_status renga_operators(char **out_json);

/* Makes a network of a known architecture with initial weights.
 * architecture: "cnn", "resnet", …  options: "name=value,…" or NULL for all defaults, e.g. "depth=20,classes=10,input=32x32x3".
 * seed: of the initial weights; the same seed gives the same bits on every machine.
 * Errors: RENGA_ERROR_NOT_FOUND (unknown architecture or option, the sentence lists the known), RENGA_ERROR_INVALID_ARGUMENT (option,
 * bounds, value). */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_create(const char *architecture, const char *options, uint64_t seed,
                                                             renga_network **out);
/* Loads a network file (safetensors with Renga's description). All or nothing.
 * Errors: RENGA_ERROR_FILE, RENGA_ERROR_CORRUPT_DATA (truncated, flipped bits, foreign), RENGA_ERROR_UNSUPPORTED (newer format). */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_load(const char *path, renga_network **out);
/* Loads the same from `size` bytes in memory; `data` is read during the call only. Errors: those of renga_network_load but _FILE. */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_load_memory(const void *data, size_t size, renga_network **out);
/* Saves: written beside, synced, renamed over `path`. On any failure (RENGA_ERROR_FILE) a file that stood there is untouched. */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_save(const renga_network *network, const char *path);
/* An independent copy; parameters are shared until one of the two is changed. */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_clone(const renga_network *network, renga_network **out);
/* Frees a network. Sessions and trainers made from it live on. */
RENGA_API void renga_network_free(renga_network *network);

/* Numbers of a network for one image at its own size. */
typedef struct renga_network_info {
  size_t size;               /* sizeof(renga_network_info), set by renga_network_info_init */
  int64_t parameters;        /* trainable numbers (running statistics not counted) */
  int64_t macs;              /* multiply-accumulates for one image */
  int64_t layers;            /* operators */
  int32_t inputs, outputs;   /* how many */
  renga_shape input_shape;   /* of the first input, n = 1 */
  renga_shape output_shape;  /* of the first output, n = 1 */
} renga_network_info;
/* Clears `size` bytes (pass sizeof(renga_network_info)) and notes the size. NULL or an impossible size does nothing. */
RENGA_API void renga_network_info_init(renga_network_info *info, size_t size);
/* Fills in `info`, which renga_network_info_init prepared. */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_get_info(const renga_network *network, renga_network_info *info);

/* Forms of renga_network_describe. */
typedef enum renga_description {
  RENGA_DESCRIPTION_TEXT = 0, /* a table for people */
  RENGA_DESCRIPTION_JSON = 1, /* layers, shapes, parameters, MACs, bytes, path lengths, metadata */
  RENGA_DESCRIPTION_DOT = 2   /* a drawing for Graphviz */
} renga_description;
/* Describes a network as text. Free by renga_text_free. */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_describe(const renga_network *network, int32_t form, char **out_text);

/* Number of parameters (tensors, running statistics included). */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_parameter_count(const renga_network *network, int64_t *out_count);
/* One of them by index, 0 … count - 1 in order of the layers: name, dimensions (room for RENGA_MAX_RANK, slowest first) and how many.
 * out_name: borrowed, valid until the network is freed. */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_parameter_info(const renga_network *network, int64_t index, const char **out_name,
                                                                     int64_t out_dimensions[RENGA_MAX_RANK], int32_t *out_rank);
/* Copies a parameter out of or into the network by name; `count` must be its number of elements.
 * Errors: RENGA_ERROR_NOT_FOUND, RENGA_ERROR_SHAPE_MISMATCH (count). */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_get_parameter(const renga_network *network, const char *name, float *values,
                                                                    size_t count);
RENGA_API RENGA_MUST_CHECK renga_status renga_network_set_parameter(renga_network *network, const char *name, const float *values,
                                                                    size_t count);
/* Free-form text that travels with the network. Reading an absent key gives NULL and RENGA_OK. value NULL removes the key. Keys that begin
 * with "renga." are the library's own: "renga.normalization" (see renga_source), "renga.classes" (JSON array of names),
 * "renga.architecture", "renga.options". */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_get_metadata(const renga_network *network, const char *key, char **out_value);
RENGA_API RENGA_MUST_CHECK renga_status renga_network_set_metadata(renga_network *network, const char *key, const char *value);
/* Sets the metadata "renga.normalization": sessions and trainers made afterwards see (pixel - mean[c]) * scale[c] of u8 images.
 * mean, scale: [channels]; both NULL with 0 channels = none. Errors: RENGA_ERROR_SHAPE_MISMATCH (channels are not those of every input),
 * RENGA_ERROR_NOT_FINITE. */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_set_normalization(renga_network *network, const float *mean, const float *scale,
                                                                        size_t channels);

/* A network with every batch norm that can be folded into its convolution folded (same answers in inference, fewer steps).
 * out_report: NULL, or what was done as JSON. `network` stays as it is. */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_fold_batch_norm(const renga_network *network, renga_network **out, char **out_report);

/* Reads a network from an ONNX file (operator sets 6 to 26) that another program wrote; weights in further files are looked for beside it.
 * All or nothing: a node that is not understood exactly refuses the whole file. Batch norms stay trainable; weights in f16, bf16, double or
 * whole numbers become f32. The batch is open; where the file leaves the image size open the options say which.
 * options: "height=224,width=224,layout=auto" (the defaults) or NULL. layout: what inputs of four axes are: "nchw", "nhwc", or as a first
 * Transpose tells.
 * out_report: NULL, or {"producer","operator_set","nodes","layers","inputs":[{"name","input","layout","shape"}],"outputs":[{"name",
 * "layout","shape"}],"notes":[…],"unsupported":[{"node","operator","reason"}]}; a "layout" is the renga_layout in which the host's memory is
 * ONNX's own ("cn": images are columns). Given also where the call fails for nodes that are not supported, all of which it lists;
 * else NULL on failure. Free by renga_text_free.
 * Memory: at most 192 times the size of the files and 64 MiB; little more than the weights for a trained network.
 * Errors: RENGA_ERROR_UNSUPPORTED, RENGA_ERROR_FILE, RENGA_ERROR_CORRUPT_DATA, RENGA_ERROR_NOT_FOUND (an option),
 * RENGA_ERROR_INVALID_ARGUMENT (its value), RENGA_ERROR_OUT_OF_MEMORY. */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_import_onnx(const char *path, const char *options, renga_network **out,
                                                                  char **out_report);
/* The same from `size` bytes in memory, read during the call only. Weights in further files are RENGA_ERROR_UNSUPPORTED. */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_import_onnx_memory(const void *data, size_t size, const char *options,
                                                                         renga_network **out, char **out_report);
/* Weights alone, in safetensors files under another program's names: a PyTorch state_dict, mostly.
 * names: NULL or "renga" (our names and order of axes); "pytorch" (our layers' names, parameters as PyTorch calls them, weights [K,C/G,R,S]
 * and [K,C], flattened maps channel by channel); "torchvision" (the same as torchvision names its resnet, resnext, vgg and squeezenet; the
 * network's metadata must say that it is one); or a table. Lines of a table end with a newline or a comma: "theirs=ours", "theirs=" (these
 * tensors of the file are left out) and "=ours" (these parameters stay as they are), * for any characters, the same on both sides;
 * the first that fits decides; one of the words above for all others (else pytorch); # begins a comment.
 * Loading takes numbers of all usual types, as f32. All or nothing: parameters without a tensor, tensors without a parameter and other
 * extents are refused; PyTorch's num_batches_tracked may be there.
 * Errors: RENGA_ERROR_INVALID_ARGUMENT (names), RENGA_ERROR_NOT_FOUND (missing or foreign tensors, by name), RENGA_ERROR_SHAPE_MISMATCH
 * (extents), RENGA_ERROR_UNSUPPORTED (architecture or number type), RENGA_ERROR_FILE, RENGA_ERROR_CORRUPT_DATA. */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_load_weights(renga_network *network, const char *path, const char *names);
/* Writes the same form, f32, whole or not at all. Parameters that stay ("=ours") are left out. */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_save_weights(const renga_network *network, const char *path, const char *names);
/* Writes the network as ONNX for inference, whole or not at all: [N,C,H,W] f32 in, any N, the same answers up to rounding. Layers keep their
 * names; dropout is left out, gates become part of other layers; all metadata go along ("renga.normalization" is not applied: the graph
 * takes what the network sees). options: NULL or "name=value,…": opset=17 (13 … 24), fold_batch_norm=no, dynamic_size=no (yes: rows and
 * columns of the images are left open).
 * Errors: RENGA_ERROR_FILE, RENGA_ERROR_NOT_FOUND and RENGA_ERROR_INVALID_ARGUMENT (options), RENGA_ERROR_UNSUPPORTED (an operator's form
 * that the opset has not; more than 2 GB). */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_export_onnx(const renga_network *network, const char *path, const char *options);

/* ---- Builder: a network layer by layer ----------------------------------------------------------------------------------------- */

/* Collects layers; each is checked as it comes. Made by renga_builder_create, broken by renga_builder_free. */
typedef struct renga_builder renga_builder;
/* An empty builder. */
RENGA_API RENGA_MUST_CHECK renga_status renga_builder_create(renga_builder **out);
/* Frees a builder. Networks made by it live on. */
RENGA_API void renga_builder_free(renga_builder *builder);
/* Adds an input of h x w x c; out_value (from 0; -1 on failure) names it in later calls. name NULL = "input". Inputs come before layers. */
RENGA_API RENGA_MUST_CHECK renga_status renga_builder_add_input(renga_builder *builder, const char *name, int64_t h, int64_t w, int64_t c,
                                                                int32_t *out_value);
/* Adds a layer: op and attributes as renga_operators() lists them, e.g. "convolution", "channels=16,kernel=3,pad=1".
 * attributes NULL = all defaults. name: unique, or NULL for a made-up one. inputs: `input_count` (1 … RENGA_MAX_INPUTS) earlier values.
 * Errors: RENGA_ERROR_NOT_FOUND (operator or attribute, the sentence lists the known), RENGA_ERROR_INVALID_ARGUMENT,
 * RENGA_ERROR_SHAPE_MISMATCH (inputs that do not fit); the builder stays as it was, out_value is -1. out_value may be one of inputs. */
RENGA_API RENGA_MUST_CHECK renga_status renga_builder_add_layer(renga_builder *builder, const char *op, const char *attributes,
                                                                const char *name,
                                                                const int32_t *inputs, size_t input_count, int32_t *out_value);
/* The shape of a value for one image. */
RENGA_API RENGA_MUST_CHECK renga_status renga_builder_shape(const renga_builder *builder, int32_t value, renga_shape *out_shape);
/* Makes the network. outputs: `output_count` values, at least one. initialization: "he_fan_in", "he_fan_out", "orthogonal", "uniform" or
 * NULL (he_fan_in). The builder stays usable. */
RENGA_API RENGA_MUST_CHECK renga_status renga_builder_finish(const renga_builder *builder, const int32_t *outputs, size_t output_count,
                                                             const char *initialization, uint64_t seed, renga_network **out);

/* ---- Session: inference --------------------------------------------------------------------------------------------------------- */

/* A network compiled for one batch size, image size and thread count, with its memory. Independent of the network it was made from.
 * Made by renga_session_create, renga_session_load, broken by renga_session_free. */
typedef struct renga_session renga_session;

typedef struct renga_session_options {
  size_t size;             /* sizeof(renga_session_options), set by renga_session_options_init */
  int64_t batch;           /* largest n of a run; default 1 */
  int64_t height, width;   /* image size; 0 = the network's own */
  int32_t threads;         /* 1 … RENGA_MAX_THREADS; 0 = renga_default_threads() */
  int32_t fold_batch_norm; /* 1 = fold where possible (default); 0 = not */
  const char *algorithm;   /* NULL = choose; "reference", "direct", … forces convolutions that can; "conv1=direct,…" single layers */
  int32_t precision;       /* renga_precision; default RENGA_PRECISION_F32 */
  int32_t tune;            /* 1 = choose by timing on this machine, once a shape in the process (a second or two); 0 = by rule (default) */
  int32_t linear_weights;  /* renga_precision of fully connected layers' weights: bf16 halves their bytes; default RENGA_PRECISION_F32 */
} renga_session_options;
/* Fills in the defaults within `size` bytes (pass sizeof(renga_session_options)). NULL or an impossible size does nothing. */
RENGA_API void renga_session_options_init(renga_session_options *options, size_t size);
/* Compiles: allocates everything that runs need. options NULL = defaults.
 * Errors: RENGA_ERROR_INVALID_ARGUMENT, RENGA_ERROR_SHAPE_MISMATCH (image size that a layer cannot take), RENGA_ERROR_OUT_OF_MEMORY. */
RENGA_API RENGA_MUST_CHECK renga_status renga_session_create(const renga_network *network, const renga_session_options *options,
                                                             renga_session **out);
/* Compiles a network straight from the file that renga_network_save wrote: as renga_network_load and renga_session_create, with the same
 * bits, but faster, and without memory for the network's large weights: threads of the session read them in pieces, check and pack them.
 * The whole file is checked. All or nothing: where anything of it is wrong, or it changes meanwhile, there is no session (*out = NULL); a
 * file that changes later does not matter. options NULL = defaults. From any thread.
 * Errors: those of renga_network_load and renga_session_create. */
RENGA_API RENGA_MUST_CHECK renga_status renga_session_load(const char *path, const renga_session_options *options, renga_session **out);
/* Frees a session with its memory. */
RENGA_API void renga_session_free(renga_session *session);
/* Shape of input / output `index` (from 0) at the session's batch and image size. */
RENGA_API RENGA_MUST_CHECK renga_status renga_session_input_shape(const renga_session *session, int32_t index, renga_shape *out_shape);
RENGA_API RENGA_MUST_CHECK renga_status renga_session_output_shape(const renga_session *session, int32_t index, renga_shape *out_shape);
/* Runs a network with one input and one output. src: 1 … batch images of the input's shape. dst: dst_count floats, at least
 * n * H * W * C of the output; the first n * H * W * C are written, in `dst_layout` (renga_layout). src and dst must not overlap.
 * The same bits for any thread count, and for an image alone or within a batch of the session; a session of another batch size may choose
 * other algorithms, whose answers differ in their last bits (`algorithm` = the same one: the same bits). NaN in gives NaN out, with RENGA_OK.
 * Errors: RENGA_ERROR_SHAPE_MISMATCH (shape; dst too small), RENGA_ERROR_INVALID_ARGUMENT (element, layout, n above the batch). */
RENGA_API RENGA_MUST_CHECK renga_status renga_session_run(renga_session *session, const renga_source *src, float *dst, size_t dst_count,
                                                          int32_t dst_layout);
/* Runs a network with any number of inputs and outputs. src: src_count sources, all of the same n, in order of the inputs. dst: dst_len
 * pointers in order of the outputs, dst_count[i] floats each; otherwise as renga_session_run. */
RENGA_API RENGA_MUST_CHECK renga_status renga_session_run_many(renga_session *session, const renga_source *src, size_t src_count,
                                                               float *const *dst,
                                                               const size_t *dst_count, size_t dst_len, int32_t dst_layout);

/* Bytes that a session or trainer holds. */
typedef struct renga_memory {
  size_t size;            /* sizeof(renga_memory), set by renga_memory_init */
  int64_t weights;        /* packed weights (training: parameters, gradients and optimiser state) */
  int64_t activations;    /* the arena of all values */
  int64_t scratch;        /* of kernels */
  int64_t activations_lower_bound; /* what the largest step alone needs alive: no plan of these steps can use less */
  int64_t parameters;     /* training; with gradients and optimizer it makes up `weights`: parameters and running statistics */
  int64_t gradients;      /* training: of the parameters */
  int64_t optimizer;      /* training: the optimiser's state */
  int64_t batch;          /* training: the batch of images and labels, a part of `activations` */
  int64_t kept;           /* training under a budget: activations that stay from the forward to the backward pass, a part of `activations` */
  int64_t recomputed_layers; /* training under a budget: layers that run twice in a step */
  int64_t recomputed_macs;   /* training under a budget: multiply-accumulates of their second runs in a step */
} renga_memory;
/* Clears `size` bytes (pass sizeof(renga_memory)) and notes the size. NULL or an impossible size does nothing. */
RENGA_API void renga_memory_init(renga_memory *memory, size_t size);
/* Fills in `memory`, which renga_memory_init prepared. */
RENGA_API RENGA_MUST_CHECK renga_status renga_session_memory(const renga_session *session, renga_memory *memory);
/* The same for a session that these options would make (NULL = defaults), planned without making it: nothing large is allocated.
 * Errors: those of renga_session_create. */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_session_memory(const renga_network *network, const renga_session_options *options,
                                                                     renga_memory *memory);
/* Runs `runs` (1 … RENGA_MAX_RUNS) times on zeros and reports each step's time in the fastest run:
 * {"precision","steps":[{"name","operator","algorithm","ms","macs","gflops","bytes","gbytes_per_s"}],"ms"}. macs: multiply-accumulates of
 * the direct method, two operations each in gflops, whatever the algorithm; bytes: of the buffers that the step touches, weights included. */
RENGA_API RENGA_MUST_CHECK renga_status renga_session_profile(renga_session *session, int32_t runs, char **out_json);

/* ---- Dataset -------------------------------------------------------------------------------------------------------------------- */

/* Labelled images in memory. Made by renga_dataset_create or _open, broken by renga_dataset_free. Trainers keep what they need. */
typedef struct renga_dataset renga_dataset;
/* From memory: copies images and labels (images->shape.n of them, each in [0, classes)). classes: 1 … RENGA_MAX_EXTENT.
 * Errors: RENGA_ERROR_INVALID_ARGUMENT (a label, named by its index), RENGA_ERROR_NOT_FINITE (an f32 image with NaN or infinity). */
RENGA_API RENGA_MUST_CHECK renga_status renga_dataset_create(const renga_source *images, const int32_t *labels, int32_t classes,
                                                             renga_dataset **out);
/* From files: `path` is a folder with the IDX files of MNIST's naming (optionally .gz) or the binary files of CIFAR-10/100.
 * part: "train" or "test". Errors: RENGA_ERROR_FILE, RENGA_ERROR_CORRUPT_DATA, RENGA_ERROR_NOT_FOUND (no such files in the folder). */
RENGA_API RENGA_MUST_CHECK renga_status renga_dataset_open(const char *path, const char *part, renga_dataset **out);
/* From one IDX image file and one IDX label file, each optionally .gz; classes = 1 + the largest label. */
RENGA_API RENGA_MUST_CHECK renga_status renga_dataset_open_idx(const char *images_path, const char *labels_path, renga_dataset **out);
/* Frees a set; sets taken from it and trainers live on. */
RENGA_API void renga_dataset_free(renga_dataset *dataset);
/* Images [begin, begin + count) as a set of their own; they share memory. count at least 1. */
RENGA_API RENGA_MUST_CHECK renga_status renga_dataset_take(const renga_dataset *dataset, int64_t begin, int64_t count, renga_dataset **out);
/* Shape of the whole set (n = how many images) and number of classes. Either pointer may be NULL. */
RENGA_API RENGA_MUST_CHECK renga_status renga_dataset_info(const renga_dataset *dataset, renga_shape *out_shape, int32_t *out_classes);
/* Copies images [begin, begin + count) as f32 NHWC 0…255 (u8) or as given (f32), and labels; either pointer may be NULL.
 * images_count: floats of room, at least count * H * W * C; labels_count: at least count. */
RENGA_API RENGA_MUST_CHECK renga_status renga_dataset_get(const renga_dataset *dataset, int64_t begin, int64_t count, float *images,
                                                          size_t images_count,
                                                          int32_t *labels, size_t labels_count);
/* The name of a class, "" where the set knows none. label: 0 … classes - 1. Borrowed, valid until the set is freed. */
RENGA_API RENGA_MUST_CHECK renga_status renga_dataset_class_name(const renga_dataset *dataset, int32_t label, const char **out_name);

/* ---- Trainer -------------------------------------------------------------------------------------------------------------------- */

/* A network in training with its optimiser's state. Made by renga_trainer_create or _resume, broken by renga_trainer_free. */
typedef struct renga_trainer renga_trainer;

/* The recipes' options, defaults, bounds and presets as JSON, in the form of renga_architectures() under "options" and "presets". */
RENGA_API RENGA_MUST_CHECK renga_status renga_recipes(char **out_json);

/* Makes a trainer with a copy of the network. recipe: "preset,name=value,…", e.g. "fast,epochs=3,batch=128,seed=7"; NULL = the default
 * preset. threads: 0 … RENGA_MAX_THREADS. Normalisation: when the set's images are u8 and the network carries none, fit measures it on the
 * training set and stores it in the trainer's network's metadata, where sessions find it. "precision=bf16" keeps activations and their
 * gradients in bf16; parameters are f32 in any. fit evaluates in the recipe's precision.
 * Errors: RENGA_ERROR_NOT_FOUND, RENGA_ERROR_INVALID_ARGUMENT, RENGA_ERROR_UNSUPPORTED (a network that cannot be trained). */
RENGA_API RENGA_MUST_CHECK renga_status renga_trainer_create(const renga_network *network, const char *recipe, int32_t threads,
                                                             renga_trainer **out);
typedef struct renga_trainer_options {
  size_t size;           /* sizeof(renga_trainer_options), set by renga_trainer_options_init */
  int64_t memory_budget; /* most bytes of renga_trainer_memory (weights + activations + scratch); 0 = as many as it takes (default) */
  int32_t threads;       /* 1 … RENGA_MAX_THREADS; 0 = renga_default_threads() */
  const char *algorithm; /* as a session's; backward passes take it where they can. NULL = choose, and for resume. Read during the call */
  int32_t tune;          /* 1 = choose by timing on this machine, once a shape in the process; 0 = by rule (default), and for resume */
} renga_trainer_options;
/* Fills in the defaults within `size` bytes (pass sizeof(renga_trainer_options)). NULL or an impossible size does nothing. */
RENGA_API void renga_trainer_options_init(renga_trainer_options *options, size_t size);
/* renga_trainer_create with all options; NULL = defaults. Under a memory budget activations that do not fit are computed again before the
 * backward pass reads them (gradient checkpointing, Chen et al. 2016): the same bits of everything for more time.
 * Algorithms that are tuned or forced may change the last bits, never with the threads or the budget; renga_trainer_profile names them.
 * Errors: also RENGA_ERROR_INVALID_ARGUMENT for a budget below the least possible, which the sentence names, and RENGA_ERROR_NOT_FOUND (an
 * algorithm, or a layer to force it upon). */
RENGA_API RENGA_MUST_CHECK renga_status renga_trainer_create_with(const renga_network *network, const char *recipe,
                                                                  const renga_trainer_options *options, renga_trainer **out);
/* Bytes that a trainer of these arguments would hold, planned without making it: nothing large is allocated. Errors: as above. */
RENGA_API RENGA_MUST_CHECK renga_status renga_network_trainer_memory(const renga_network *network, const char *recipe,
                                                                     const renga_trainer_options *options, renga_memory *memory);
/* Frees a trainer; networks copied out of it live on. Not while it works. */
RENGA_API void renga_trainer_free(renga_trainer *trainer);

/* Where training stands; given to the callback after each batch and each epoch. */
typedef struct renga_progress {
  size_t size;                /* sizeof(renga_progress) of the library */
  int64_t epoch, epochs;      /* from 1 */
  int64_t batch, batches;     /* in this epoch, from 1 */
  int64_t step;               /* since the beginning, from 1 */
  double images_per_second, loss, accuracy; /* of this epoch so far */
  double learning_rate;
  double seconds, seconds_left;
  double test_accuracy;       /* after an epoch with a validation set; NaN otherwise */
  int32_t epoch_ended;        /* 1 when called at an epoch's end */
} renga_progress;
/* Return 0 to go on; anything else stops after this step with RENGA_CANCELLED. `progress` is valid during the call. Called on the thread
 * that called fit, between two steps. On the same trainer it may call renga_trainer_network, _history, _gates, _memory and _save; other calls,
 * and all calls from other threads, get RENGA_ERROR_BUSY. It must return: neither a C++ exception nor longjmp may leave it. */
typedef int32_t (*renga_progress_fn)(const renga_progress *progress, void *user_data);

/* Trains to the end of the recipe (or from where a cancelled or resumed run stood). test: NULL or a set to evaluate after each epoch.
 * checkpoint: NULL, or a path written atomically after each epoch. On RENGA_CANCELLED the trainer stands after its last whole step, and
 * fit goes on from there.
 * Errors: RENGA_ERROR_SHAPE_MISMATCH (images or classes do not fit), RENGA_ERROR_NOT_FINITE (the loss; names the step), RENGA_ERROR_BUSY. */
RENGA_API RENGA_MUST_CHECK renga_status renga_trainer_fit(renga_trainer *trainer, const renga_dataset *train, const renga_dataset *test,
                                                          const char *checkpoint, renga_progress_fn progress, void *user_data);
/* One step on one batch: src->shape.n images (the recipe's batch size), labels [n], each in [0, classes of the network).
 * out_loss (mean over the batch), out_correct (right answers in it) may be NULL.
 * Errors: RENGA_ERROR_SHAPE_MISMATCH, RENGA_ERROR_INVALID_ARGUMENT (a label), RENGA_ERROR_NOT_FINITE (the loss), RENGA_ERROR_BUSY. */
RENGA_API RENGA_MUST_CHECK renga_status renga_trainer_step(renga_trainer *trainer, const renga_source *src, const int32_t *labels,
                                                           double *out_loss,
                                                           int64_t *out_correct);
/* A copy of the network as it stands now. */
RENGA_API RENGA_MUST_CHECK renga_status renga_trainer_network(const renga_trainer *trainer, renga_network **out);
/* Per epoch: loss, accuracy, test accuracy, seconds, learning rate, as JSON under "epochs", with "train_seconds", "peak_bytes" and the
 * recipe. */
RENGA_API RENGA_MUST_CHECK renga_status renga_trainer_history(const renga_trainer *trainer, char **out_json);
/* The gates of stochastic depth in the last step: {"steps","gates":[{"layer","survival":[…],"open":[[…],…]}]}, one list of "open" for the
 * batch or one for each sample, with an entry for each gate of the layer (that of the channels with a shortcut first). */
RENGA_API RENGA_MUST_CHECK renga_status renga_trainer_gates(const renga_trainer *trainer, char **out_json);
/* Takes these gates from the next step on instead of drawing them, for all samples: "layer=1,other=01", a digit for each gate of a layer,
 * 1 = open; layers that are not named are drawn. NULL: all are drawn again, as if they had been all along. Not part of a checkpoint.
 * Errors: RENGA_ERROR_NOT_FOUND (a layer without gates), RENGA_ERROR_INVALID_ARGUMENT (the digits), RENGA_ERROR_BUSY. */
RENGA_API RENGA_MUST_CHECK renga_status renga_trainer_force_gates(renga_trainer *trainer, const char *gates);
/* Takes `runs` (1 … RENGA_MAX_RUNS) steps at rate 0 with a copy of the training, on the batch of the last step, and reports each kernel's least
 * time as renga_session_profile does ("operator" says which part of the layer's work: "backward weight", …; "" = the forward pass or a
 * step around the network). The trainer stays as it is. Errors: RENGA_ERROR_OUT_OF_MEMORY (the copy doubles the memory meanwhile). */
RENGA_API RENGA_MUST_CHECK renga_status renga_trainer_profile(const renga_trainer *trainer, int32_t runs, char **out_json);
/* Bytes of the training, all of them allocated when the trainer was made. */
RENGA_API RENGA_MUST_CHECK renga_status renga_trainer_memory(const renga_trainer *trainer, renga_memory *memory);
/* Saves everything (parameters, statistics, optimiser, position, random streams, recipe, history), written as renga_network_save does;
 * a run resumed from it ends with the same bits as one never stopped, for any thread count. */
RENGA_API RENGA_MUST_CHECK renga_status renga_trainer_save(const renga_trainer *trainer, const char *path);
/* Makes a trainer from such a file. threads: 0 … RENGA_MAX_THREADS. Errors: those of renga_network_load. */
RENGA_API RENGA_MUST_CHECK renga_status renga_trainer_resume(const char *path, int32_t threads, renga_trainer **out);
/* The same with all options; NULL = defaults. Neither threads nor budget need be those of the run that wrote the file. Where that one's
 * algorithms were tuned or forced, the file holds them, and each pass takes its own again: the same bits.
 * Errors: also RENGA_ERROR_INVALID_ARGUMENT (algorithm or tune), RENGA_ERROR_UNSUPPORTED (an algorithm that this machine does not have). */
RENGA_API RENGA_MUST_CHECK renga_status renga_trainer_resume_with(const char *path, const renga_trainer_options *options,
                                                                  renga_trainer **out);

/* Accuracy (0 … 1) and mean cross-entropy of a network over a set, batches at a time. out_accuracy, out_loss, out_confusion may be NULL.
 * out_confusion: [classes,classes] counts, row = label, column = answer; classes = C of the network's output (the set may have fewer);
 * confusion_count: room in elements, at least classes * classes. More than 4096 classes: RENGA_ERROR_UNSUPPORTED unless it is NULL.
 * Normalisation as the network's metadata says. threads: 0 … RENGA_MAX_THREADS. */
RENGA_API RENGA_MUST_CHECK renga_status renga_evaluate(const renga_network *network, const renga_dataset *dataset, int32_t threads,
                                                       double *out_accuracy,
                                                       double *out_loss, int64_t *out_confusion, size_t confusion_count);
/* The same, computed in `precision` (renga_precision). */
RENGA_API RENGA_MUST_CHECK renga_status renga_evaluate_in(const renga_network *network, const renga_dataset *dataset, int32_t precision,
                                                          int32_t threads, double *out_accuracy, double *out_loss,
                                                          int64_t *out_confusion, size_t confusion_count);

#ifdef __cplusplus
}
#endif

#endif
