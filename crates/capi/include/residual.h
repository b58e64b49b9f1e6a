/* Prediction with trained residual networks: load, predict from pixels, free.
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

/* What a call came to. */
typedef enum residual_status {
  RESIDUAL_OK = 0,
  /* A null pointer, text that is not UTF-8, a length that does not fit. */
  RESIDUAL_INVALID_ARGUMENT = 1,
  /* The file cannot be read, or holds no weights. */
  RESIDUAL_FILE = 2,
  /* The weights are of another network, or the network cannot be run. */
  RESIDUAL_NETWORK = 3,
  /* The image cannot be brought to the network's size. */
  RESIDUAL_IMAGE = 4,
  /* A defect of this library. */
  RESIDUAL_INTERNAL = 5
} residual_status;

/* A loaded network. */
typedef struct residual_network residual_network;

/* Loads the network at path, UTF-8, a file of weights or the folder of a run (its best.safetensors), and stores it in *network, which is NULL after a failure.
 *
 * model is NULL for a file that says what it is (a trained checkpoint), and the network's name, such as
 * "resnet18", for bare weights. threads is how many threads work on a prediction; 0 for as many as the machine
 * has.
 */
residual_status residual_load(const char *path, const char *model, size_t threads, residual_network **network);

/* Number of classes; 0 for NULL. */
size_t residual_classes(const residual_network *network);

/* Name of a class, counted from 0. It lives as long as the network. NULL where the file has no names, for a
 * class that there is not, and for NULL.
 */
const char *residual_class_name(const residual_network *network, size_t class_index);

/* Probabilities of all classes, which add up to 1, for an image of bytes: height rows of width pixels of
 * channels bytes, 1 (grey) or 3 (red, green, blue), without gaps. The image is resized, cropped and normalised
 * as the network was trained with; where it was trained with images as they are, one of another size than its input
 * is resized (shorter side) and its centre cut out, as `residual predict` does. An image whose answer is not finite
 * is RESIDUAL_NETWORK. length is that of probabilities and must be residual_classes.
 */
residual_status residual_predict(const residual_network *network, const uint8_t *pixels, size_t width,
                                 size_t height, size_t channels, float *probabilities, size_t length);

/* Frees a network; NULL is allowed. No thread may be using it. */
void residual_free(residual_network *network);

/* What went wrong in this thread's last call that failed, as text that lives until the next that fails; empty
 * if none did. Never NULL.
 */
const char *residual_message(void);

#ifdef __cplusplus
}
#endif

#endif
