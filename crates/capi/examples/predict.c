/* predict WEIGHTS WIDTH HEIGHT PIXELS [MODEL]: the most probable class of an image of raw RGB bytes.
 *
 *   cc -I include examples/predict.c -L ../../target/release -lresidual_c -o predict
 */
#include <stdio.h>
#include <stdlib.h>

#include "residual.h"

static int fail(const char *doing, residual_status status) {
  fprintf(stderr, "cannot %s (code %d): %s\n", doing, (int)status, residual_message());
  return 2;
}

/* The number that a text is, from 1 to 65535; 0 for any other text. */
static size_t parse_side(const char *text) {
  char *end = NULL;
  unsigned long side = strtoul(text, &end, 10);
  return *text >= '0' && *text <= '9' && *end == '\0' && side <= 65535 ? (size_t)side : 0;
}

/* The bytes of a file that has exactly so many. */
static uint8_t *read_bytes(const char *path, size_t length) {
  FILE *file = fopen(path, "rb");
  uint8_t *bytes = file ? malloc(length) : NULL;
  if (bytes && (fread(bytes, 1, length, file) != length || fgetc(file) != EOF)) {
    free(bytes);
    bytes = NULL;
  }
  if (file) fclose(file);
  return bytes;
}

int main(int count, char **arguments) {
  if (count != 5 && count != 6) {
    fprintf(stderr, "usage: predict WEIGHTS WIDTH HEIGHT PIXELS [MODEL]\n");
    return 2;
  }
  size_t width = parse_side(arguments[2]), height = parse_side(arguments[3]);
  if (width == 0 || height == 0) {
    fprintf(stderr, "width and height are numbers from 1 to 65535, not %s and %s\n", arguments[2], arguments[3]);
    return 2;
  }
  residual_network *network = NULL;
  residual_status status = residual_load(arguments[1], count == 6 ? arguments[5] : NULL, 0, &network);
  if (status != RESIDUAL_OK) return fail("load", status);

  size_t classes = residual_classes(network);
  uint8_t *pixels = read_bytes(arguments[4], width * height * 3);
  float *probabilities = malloc(classes * sizeof *probabilities);
  if (!pixels || !probabilities) {
    fprintf(stderr, "%s cannot be read, or is not %zu x %zu RGB pixels: %zu bytes, neither more nor fewer\n",
            arguments[4], width, height, width * height * 3);
    return 2;
  }
  status = residual_predict(network, pixels, width, height, 3, probabilities, classes);
  if (status != RESIDUAL_OK) return fail("predict", status);

  size_t best = 0;
  for (size_t i = 1; i < classes; i++) {
    if (probabilities[i] > probabilities[best]) best = i;
  }
  const char *name = residual_class_name(network, best);
  printf("%zu %s %.6f\n", best, name ? name : "-", probabilities[best]);
  free(probabilities);
  free(pixels);
  residual_free(network);
  return 0;
}
