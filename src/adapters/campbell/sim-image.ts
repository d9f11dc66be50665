import { crc32Hex } from '#kit/digest.ts';

/** Marks an OS file of the simulated loggers. Real `.obj` files have no documented layout (docs/protocols/campbell-mqtt.md §8.2). */
const MAGIC = 'HEADGATE-SIM-OS';
const DEFAULT_SIZE = 4096;

export interface OsImage {
  readonly model: string;
  /** As the logger will report it: `CR1000X.8.2.1`. */
  readonly version: string;
  readonly bootsBack: boolean;
  readonly bricks: boolean;
}

export interface OsImageOptions {
  readonly model: string;
  /** `8.2.1`, or with the model in front any spelling of docs/protocols/campbell-mqtt.md §8.1. */
  readonly version: string;
  readonly extra?: {
    /** The logger takes it, restarts, and runs the old OS. */
    readonly bootsBack?: boolean;
    /** The logger takes it and never comes back. */
    readonly bricks?: boolean;
    /** Length of the file in bytes, 4096 by default. */
    readonly size?: number;
  };
}

/** An OS file that simulated loggers of that model accept: one header line, then filler. Equal options give equal bytes. */
export function buildOsImage({ model, version, extra = {} }: OsImageOptions): Uint8Array {
  const filler = fillerOf(`${model} ${version}`, Math.max(16, extra.size ?? DEFAULT_SIZE));
  const header = {
    model,
    version: /^\d/.test(version) ? `${model}.${version}` : version,
    ...(extra.bootsBack === true ? { bootsBack: true } : {}),
    ...(extra.bricks === true ? { bricks: true } : {}),
    length: filler.length,
    crc: crc32Hex(filler),
  };
  const line = new TextEncoder().encode(`${MAGIC} ${JSON.stringify(header)}\n`);
  const image = new Uint8Array(line.length + filler.length);
  image.set(line);
  image.set(filler, line.length);
  return image;
}

/** Null for anything else, a cut or changed image included. */
export function parseOsImage(bytes: Uint8Array): OsImage | null {
  const end = bytes.indexOf(0x0a);
  if (end < 0 || end > 1024) return null;
  const line = new TextDecoder().decode(bytes.subarray(0, end));
  if (!line.startsWith(`${MAGIC} {`)) return null;
  const header = parseHeader(line.slice(MAGIC.length + 1));
  const body = bytes.subarray(end + 1);
  if (header === null || header['length'] !== body.length || header['crc'] !== crc32Hex(body)) return null;
  const { model, version } = header;
  if (typeof model !== 'string' || typeof version !== 'string') return null;
  return { model, version, bootsBack: header['bootsBack'] === true, bricks: header['bricks'] === true };
}

function parseHeader(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}

/** Printable, so that an image in a git repository shows as what it is. */
function fillerOf(seed: string, size: number): Uint8Array {
  const line = `simulated ${seed} `;
  return new TextEncoder().encode(line.repeat(Math.ceil(size / line.length)).slice(0, size));
}
