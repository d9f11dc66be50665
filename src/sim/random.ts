import { createHash } from 'node:crypto';

/** Numbers in [0, 1) that depend on the seed and the name only: SHA-256 in counter mode, 48 bits each. */
export function seededRandom(seed: number, name: string): () => number {
  let count = 0;
  return () => {
    count += 1;
    return createHash('sha256').update(`${seed} ${name} ${count}`).digest().readUIntBE(0, 6) / 2 ** 48;
  };
}
