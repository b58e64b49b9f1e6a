/* Prediction with trained residual networks: load a network, ask it about images, free it.
 *
 * Every function that can fail returns a code, and leaves a message for people that residual_message gives to
 * the same thread. A network may be used from several threads at once.
 */
#ifndef RESIDUAL_H
#define RESIDUAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Outcome of a call. */
typedef enum residual_status {
  RESIDUAL_OK = 0,
  /* A null pointer, text that is not UTF-8, a length that does not fit, a name that nothing has. */
  RESIDUAL_INVALID_ARGUMENT = 1,
  /* The file cannot be read, or holds no weights. */
  RESIDUAL_FILE = 2,
  /* The weights are of another network, or the network cannot be run. */
  RESIDUAL_NETWORK = 3,
  /* The image cannot be decoded, or not be brought to the network's size. */
  RESIDUAL_IMAGE = 4,
  /* A defect of this library. */
  RESIDUAL_INTERNAL = 5
} residual_status;

/* A loaded network. */
typedef struct residual_network residual_network;

/* An image: height rows of width pixels of channels bytes, 1 (grey) or 3 (red, green, blue), without gaps, and
 * length is height * width * channels. Where width, height and channels are 0, data are the length bytes of a
 * JPEG or PNG file. The library reads the data during the call alone.
 *
 * An image is resized, cropped and normalised as the network was trained with; where it was trained with images
 * as they are, one of another size than its input is resized (shorter side) and its centre cut out, as
 * `residual predict` does.
 */
typedef struct residual_image {
  const uint8_t *data;
  size_t length;
  size_t width;
  size_t height;
  size_t channels;
} residual_image;

/* Maps of an image, channels * height * width values, row by row and map by map. The library fills them, and
 * residual_free_maps frees the values.
 */
typedef struct residual_maps {
  size_t channels;
  size_t height;
  size_t width;
  float *values;
} residual_maps;

/* Class index of residual_heat_map that stands for the most probable class. */
#define RESIDUAL_BEST_CLASS SIZE_MAX

/* Loads the network at path, UTF-8, a file of weights or the folder of a run (its best.safetensors), and stores it
 * in *network, which is NULL after a failure.
 *
 * model may be NULL: a trained checkpoint says what it is, and bare weights are told by their tensors, whatever
 * prefix, scheme and head they have. Else it is the network's name, such as "resnet18", or the path of a
 * specification, such as "mine.toml" or "mine.json"; the number of classes of bare weights is the file's. threads is how many threads work on a prediction; 0 for as
 * many as the machine has.
 */
residual_status residual_load(const char *path, const char *model, size_t threads, residual_network **network);

/* Loads a network from the length bytes of a file of weights; all else as for residual_load. The bytes are not
 * needed after the call.
 */
residual_status residual_load_bytes(const uint8_t *bytes, size_t length, const char *model, size_t threads,
                                    residual_network **network);

/* Number of classes, or of the numbers of a regression; 0 for NULL. */
size_t residual_classes(const residual_network *network);

/* Name of a class, counted from 0. It lives as long as the network. Where the file has no names they are
 * ImageNet's for a published network of its 1,000 classes, and CIFAR's for a CIFAR network. NULL for any other such
 * network, for a class that there is not, and for NULL.
 */
const char *residual_class_name(const residual_network *network, size_t class_index);

/* Length of an embedding; 0 for NULL. */
size_t residual_embedding_length(const residual_network *network);

/* Task of the network, as text that is never freed: "single_label" (an image is of one class), "multi_label" (of any
 * number of them) or "regression" (a number for each output, whose names residual_class_name gives). NULL for NULL.
 */
const char *residual_task(const residual_network *network);

/* Probability from which on an image has a class, of a "multi_label" network; NaN for any other, and for NULL. */
float residual_threshold(const residual_network *network);

/* Probabilities of all classes for each of count images: residual_classes floats for the first image, which add up
 * to 1 for a "single_label" network, then those for the second; of a network that was calibrated they are calibrated.
 * Of a "regression" they are its numbers in their units. Several images are decoded ahead and go through the network
 * together. length is that of probabilities and must be count * residual_classes.
 *
 * The floats of an image without an answer are NaN, and the call has the code of the first such image. An image
 * whose answer is not finite is RESIDUAL_NETWORK.
 */
residual_status residual_predict(const residual_network *network, const residual_image *images, size_t count,
                                 float *probabilities, size_t length);

/* Embeddings of count images, residual_embedding_length floats each: what the network's last layer reads. Images
 * that look alike to the network have embeddings that lie close together. length is that of embeddings and must be
 * count * residual_embedding_length. Images without an answer as for residual_predict.
 */
residual_status residual_embed(const residual_network *network, const residual_image *images, size_t count,
                               float *embeddings, size_t length);

/* Feature maps of an image after a layer, "stage2.block0.conv1", or a part of the network: "stem", "stage2" (its last
 * block), "stage2.block1". "head.pool" is the embedding, "head.linear" the logits. Another layer is
 * RESIDUAL_INVALID_ARGUMENT, and the message says which there are. maps are empty after a failure.
 */
residual_status residual_features(const residual_network *network, const residual_image *image, const char *layer,
                                  residual_maps *maps);

/* Heat map of a class in an image, a single map of the size of the network's last stage: how much each place adds to
 * the class's logit (class activation map). class_index counts from 0; RESIDUAL_BEST_CLASS is the most probable
 * class. map is empty after a failure.
 */
residual_status residual_heat_map(const residual_network *network, const residual_image *image, size_t class_index,
                                  residual_maps *map);

/* Frees the values of maps, and empties them; NULL and empty maps are allowed. */
void residual_free_maps(residual_maps *maps);

/* Frees a network; NULL is allowed. No thread may be using it. */
void residual_free(residual_network *network);

/* Message of this thread's last call that failed, as text that lives until the next that fails; empty if none did.
 * Never NULL.
 */
const char *residual_message(void);

#ifdef __cplusplus
}
#endif

#endif
