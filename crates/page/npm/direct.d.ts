export * from './index.js';
/** Instruction set that networks run on: `simd128`. */
export function instructionSet(): string;
