/** An image: the bytes of its file (JPEG, PNG, WebP, BMP, GIF, TIFF, .npy). */
export type ImageFile = Blob | ArrayBuffer | ArrayBufferView;

/** Pixels of a canvas: red, green, blue and opacity, row by row. An `ImageData` is one. */
export interface Pixels {
  width: number;
  height: number;
  data: Uint8ClampedArray;
}

/** A class and its probability, from 0 to 1. */
export interface Score {
  class: string;
  probability: number;
}

/** An answer about an image. */
export interface Answer {
  /** Most probable classes, the most probable first. */
  top: Score[];
  /** Classes above the threshold of a multi-label task. */
  labels?: Score[];
  /** Numbers of a regression, in the units of its targets. */
  values?: { target: string; value: number }[];
  /** Logits of all classes, where they were asked for. */
  logits?: number[];
}

/** A line of a network's table. */
export interface Row {
  path: string;
  description: string;
  /** `[channels, height, width]` */
  output: [number, number, number];
  shortcut?: string | null;
  parameters: number;
  macs: number;
}

/** Description of a network. */
export interface Description {
  network: string;
  /** `[channels, height, width]` of most images. */
  input: [number, number, number];
  classes: string[];
  task: string;
  parameters: number;
  /** Multiply-accumulates an image. */
  macs: number;
  rows: Row[];
  /** Parts that `explain` takes as `layer`. */
  layers: string[];
  threads: number;
}

/** Options of `Network.open`. */
export interface OpenOptions {
  /** Name of the network, where the file does not tell it: `resnet18`. */
  name?: string;
  /** Number of the file's bytes, where the server does not say it. */
  bytes?: number;
  /** Called as bytes arrive; `total` is 0 where it is not known. */
  onProgress?: (done: number, total: number) => void;
  /** Ends the loading. */
  signal?: AbortSignal;
}

/** A trained network, in a worker of its own. */
export class Network {
  private constructor();
  /** Description of the network. */
  readonly description: Description;
  /** Opens weights: safetensors or PyTorch's, as `residual predict --weights` takes them. */
  static open(weights: string | URL | Blob | ArrayBuffer | ArrayBufferView, options?: OpenOptions): Promise<Network>;
  /** Classes of an image; `top` of them (5 without it). */
  classify(image: ImageFile | Pixels, options?: { top?: number; logits?: boolean }): Promise<Answer>;
  /** Logits of normalised values, `[channels][height][width]`. */
  logits(values: Float32Array): Promise<Float32Array>;
  /** Vector that stands for an image. */
  embed(image: ImageFile): Promise<Float32Array>;
  /**
   * Image in grey, and over it in colour where a class is seen (the most probable, where none is named), or where a part
   * of the network is active.
   */
  explain(image: ImageFile, options?: { class?: string | number; layer?: string }): Promise<Pixels>;
  /** Ends the worker and gives its memory back. */
  close(): void;
}
