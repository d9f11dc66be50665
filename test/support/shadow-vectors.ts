import { expect } from 'vitest';
import errors from '#test/fixtures/aws/shadow-errors.json' with { type: 'json' };
import vectors from '#test/fixtures/aws/shadow-vectors.json' with { type: 'json' };

/** A rejection as the vectors give it: code, message and the token of the request. */
export interface ShadowRejection {
  readonly code: number;
  readonly message: string;
  readonly clientToken?: string;
}

export interface ShadowStep {
  readonly req: unknown;
  readonly version?: number;
  readonly delta?: unknown;
  readonly error?: ShadowRejection;
}

/** One vector of docs/protocols/aws-iot.md §6. */
export interface ShadowVector {
  readonly id: string;
  readonly note: string;
  readonly steps: readonly ShadowStep[];
  readonly get: { readonly state: unknown; readonly metadata: unknown; readonly version: number };
}

export interface ShadowErrorVector {
  /** As the page has it. */
  readonly row: string;
  readonly bytes: Uint8Array;
  readonly code: number;
  readonly message: string;
}

/** The documents that an update set off, parsed; only what came by this way. */
export interface SeenUpdate {
  readonly accepted?: unknown;
  readonly rejected?: unknown;
  readonly delta?: unknown;
  readonly documents?: unknown;
}

/** One shadow over some wire. */
export interface ShadowSubject {
  update(bytes: Uint8Array): Promise<SeenUpdate>;
  get(): Promise<unknown>;
  /** Moves the time of the shadows on by a minute. */
  minute(): Promise<void>;
}

export const VECTORS_START = 1_767_225_600_000;
export const SHADOW_VECTORS: readonly ShadowVector[] = vectors;
export const SHADOW_ERRORS: readonly ShadowErrorVector[] = errors.map(({ body, code, message }) => ({
  row: body,
  bytes: bytesOf(body),
  code,
  message: message.replace('<limit>', '6'),
}));

/** Runs one vector from the beginning: versions, deltas, rejections, then what is stored with its metadata. Gives its version. */
export async function judgeVector(vector: ShadowVector, subject: ShadowSubject, startMs = VECTORS_START): Promise<number> {
  let version = 0;
  for (const [index, step] of vector.steps.entries()) {
    const at = startMs / 1000 + index * 60;
    const seen = await subject.update(Buffer.from(JSON.stringify(step.req)));
    if (step.error !== undefined) {
      expect(seen, `${vector.id} step ${index + 1}`).toEqual({ rejected: { ...step.error, timestamp: at } });
    } else {
      version += 1;
      judgeAccepted(step, seen, { at, before: version - 1 });
    }
    await subject.minute();
  }
  const timestamp = startMs / 1000 + vector.steps.length * 60;
  expect(await subject.get(), vector.id).toEqual({ ...vector.get, timestamp });
  return version;
}

function judgeAccepted(step: ShadowStep, seen: SeenUpdate, when: { readonly at: number; readonly before: number }): void {
  expect(step.version).toBe(when.before + 1);
  const request = step.req as { readonly state: unknown };
  expect(seen.rejected).toBeUndefined();
  expect(seen.accepted).toEqual({ state: request.state, version: step.version, timestamp: when.at, metadata: expect.anything() });
  const delta = { state: step.delta, version: step.version, timestamp: when.at, metadata: expect.anything() };
  expect(seen.delta).toEqual(step.delta === null ? undefined : delta);
  expect(seen.documents).toMatchObject({
    previous: { version: when.before },
    current: { version: step.version },
    timestamp: when.at,
  });
}

/** The page has words for bytes that it does not write out. */
function bytesOf(row: string): Uint8Array {
  if (row.startsWith('{') && row.includes('<65 bytes>')) return Buffer.from(row.replace('<65 bytes>', 'x'.repeat(65)));
  if (row.startsWith('desired nested')) return Buffer.from(`{"state":{"desired":${'{"k":'.repeat(9)}1${'}'.repeat(9)}}}`);
  if (row.startsWith('state of 8193')) return sizedUpdate('x', 8185);
  if (row.startsWith('body with byte'))
    return Buffer.concat([Buffer.from('{"state":{"desired":{"a":"'), Buffer.of(0xff), Buffer.from('"}}}')]);
  return Buffer.from(row);
}

/** `{"state":{"desired":{"d":"x…"}}}`: the section has the letters and 8 bytes more. */
export function sizedUpdate(letter: string, count: number): Uint8Array {
  return Buffer.from(JSON.stringify({ state: { desired: { d: letter.repeat(count) } } }));
}
