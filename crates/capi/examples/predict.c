/* predict WEIGHTS IMAGE [MODEL]: the most probable class of a JPEG or PNG file, and where in it the class is seen.
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

/* The bytes of a file; NULL where it cannot be read. */
static uint8_t *read_bytes(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  uint8_t *bytes = NULL;
  long end = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
  if (end >= 0 && fseek(file, 0, SEEK_SET) == 0) {
    *length = (size_t)end;
    bytes = malloc(*length + 1);
  }
  if (bytes && fread(bytes, 1, *length, file) != *length) {
    free(bytes);
    bytes = NULL;
  }
  if (file) fclose(file);
  return bytes;
}

int main(int count, char **arguments) {
  if (count != 3 && count != 4) {
    fprintf(stderr, "usage: predict WEIGHTS IMAGE [MODEL]\n");
    return 2;
  }
  residual_network *network = NULL;
  residual_status status = residual_load(arguments[1], count == 4 ? arguments[3] : NULL, 0, &network);
  if (status != RESIDUAL_OK) return fail("load", status);

  size_t classes = residual_classes(network);
  residual_image image = {0};
  uint8_t *bytes = read_bytes(arguments[2], &image.length);
  float *probabilities = malloc(classes * sizeof *probabilities);
  if (!bytes || !probabilities) {
    fprintf(stderr, "%s cannot be read\n", arguments[2]);
    return 2;
  }
  image.data = bytes;
  status = residual_predict(network, &image, 1, probabilities, classes);
  if (status != RESIDUAL_OK) return fail("predict", status);

  size_t best = 0;
  for (size_t i = 1; i < classes; i++) {
    if (probabilities[i] > probabilities[best]) best = i;
  }
  const char *name = residual_class_name(network, best);
  printf("%zu %s %.6f\n", best, name ? name : "-", probabilities[best]);

  residual_maps map;
  status = residual_heat_map(network, &image, best, &map);
  if (status != RESIDUAL_OK) return fail("map", status);
  for (size_t row = 0; row < map.height; row++) {
    for (size_t column = 0; column < map.width; column++) {
      printf("%s%.4f", column ? " " : "", map.values[row * map.width + column]);
    }
    printf("\n");
  }
  residual_free_maps(&map);
  free(probabilities);
  free(bytes);
  residual_free(network);
  return 0;
}
