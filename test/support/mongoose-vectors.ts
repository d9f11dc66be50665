import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import rows from '#adapters/mongoose/fixtures/rpc.json' with { type: 'json' };
import shadow from '#adapters/mongoose/fixtures/shadow.json' with { type: 'json' };
import { SECOND_MS } from '#kit/duration.ts';
import type { JsonObject } from '#model/shadow.ts';
import { BOARD, BUNDLE, bundleOf, CALLER, onBench, SERVED, type MongooseBench, type Published } from './mongoose-bench.ts';
import { Heard } from './shadow-wires.ts';

const PREFIX = `$aws/things/${BOARD}/shadow`;
const BUNDLES: Readonly<Record<string, readonly [string, Uint8Array]>> = {
  '2.0': [SERVED, BUNDLE],
  '1.1': ['https://fw.example/a/1.1.zip', bundleOf({ version: '1.1' })],
  'other platform': [SERVED, bundleOf({ platform: 'esp8266' })],
};

/** One step of a vector: a single member, whose name says what is done or must be seen. fixtures/readme.md has them. */
type Step = Readonly<Record<string, string | number | boolean>>;
type Row = (typeof rows)[number];

interface Check {
  readonly file: string;
  readonly name: string;
  check(): Promise<void>;
}

export const SHADOW_SESSIONS = shadow as readonly { readonly name: string; readonly steps: readonly Step[] }[];

/**
 * B1 to B5 of docs/protocols/shadow-devices.md §3.6 and the transcript of §4.5, played against the simulated board: on the
 * bench in memory, or on another.
 */
export function mongooseVectors(bench: (run: (bench: MongooseBench) => Promise<void>) => Promise<void> = onBench): readonly Check[] {
  return [
    ...SHADOW_SESSIONS.map(({ name, steps }) => ({ file: 'shadow.json', name, check: () => bench((at) => play(at, steps)) })),
    ...rows.map((row) => ({ file: 'rpc.json', name: row.request, check: () => bench((at) => ask(at, row)) })),
  ];
}

async function ask(
  { board, advance, serve, tell, call, published }: MongooseBench,
  { request, reply, given, executed }: Row,
): Promise<void> {
  serve('http://h/f.zip', BUNDLE);
  if (given === 'uncommitted') await call('OTA.Update', { url: 'http://h/f.zip', commit_timeout: 300 }, 30 * SECOND_MS);
  published();
  await tell(request);
  await advance(given === 'bundle' ? 10 * SECOND_MS : 0);
  const replies = published().filter(({ topic }) => topic === `${CALLER}/rpc`);
  expect(replies.map(({ text }) => text)).toEqual(reply === undefined ? [] : [JSON.stringify(JSON.parse(reply))]);
  if (executed !== undefined) expect(board.effects.some(({ kind }) => kind === 'commit')).toBe(executed);
}

async function play(bench: MongooseBench, steps: readonly Step[]): Promise<void> {
  await bench.clock.run(bench.cloud.subscribe([`${PREFIX}/update/delta`], 1));
  bench.published();
  const session: Session = { bench, deltas: new Heard(bench.cloud), frames: [] };
  for (const step of steps) {
    for (const [kind, value] of Object.entries(step)) {
      session.frames.push(...bench.published());
      if (!(await act(session, kind, value))) look(session, kind, String(value));
    }
  }
}

interface Session {
  readonly bench: MongooseBench;
  readonly deltas: Heard;
  /** What the board said that was not looked at yet. */
  frames: Published[];
}

/** False for a step that only looks. */
async function act({ bench }: Session, kind: string, value: string | number | boolean): Promise<boolean> {
  const text = String(value);
  if (kind === 'advance') await bench.advance(Number(value) * SECOND_MS);
  else if (kind === 'version') await raise(bench, Number(value));
  else if (kind === 'cloud') await bench.publish(`${PREFIX}/update`, text);
  else if (kind === 'serve') bench.serve(...(BUNDLES[text] ?? [text, BUNDLE]));
  else if (kind === 'call') expect((await bench.call(text))[0]?.body).toMatchObject({ result: null });
  else if (kind === 'power') {
    await bench.clock.run(text === 'on' ? bench.board.powerOn() : bench.board.powerOff());
    await bench.clock.settled();
  } else return false;
  return true;
}

/** Others write into the shadow until it has that version. */
async function raise({ aws, publish }: MongooseBench, version: number): Promise<void> {
  for (let count = 0; (aws.shadows.contentOf({ thing: BOARD, shadow: null })?.version ?? 0) < version; count += 1)
    await publish(`${PREFIX}/update`, JSON.stringify({ state: { reported: { count } } }));
}

/** Frames of the device are compared as text where the page has them whole, else a frame must hold what the page has. */
function look(session: Session, kind: string, text: string): void {
  if (kind === 'truth') expect(session.bench.board.truth()['firmware']).toBe(text);
  else if (kind === 'delta') expect(session.deltas.take(`${PREFIX}/update`)[0]?.[1]).toMatchObject(exactly(JSON.parse(text) as JsonObject));
  else if (kind === 'silence') expect(session.frames.map((frame) => frame.text)).toEqual([]);
  else if (kind === 'forget') {
    session.frames = [];
    session.deltas.take(PREFIX);
  } else {
    const found = take(session, isSuch(kind, text));
    expect(found?.topic, `${text} among ${session.frames.map((frame) => frame.text).join(' ')}`).toBe(
      `${PREFIX}/${kind === 'get' ? 'get' : 'update'}`,
    );
  }
}

/** A document of which the page shows some members: others may stand beside them, not within them. */
function exactly(shown: JsonObject): object {
  return Object.fromEntries(
    Object.entries(shown).map(([name, member]) => [name, expect.toSatisfy((seen) => isDeepStrictEqual(seen, member))]),
  );
}

function isSuch(kind: string, text: string): (frame: Published) => boolean {
  if (kind === 'device' || kind === 'get') return (frame) => frame.text === text;
  const whole = { ota: `{"state":{"reported":{"ota":${text}}}}`, reported: `{"state":{"reported":${text}}}`, among: text }[kind];
  const wanted: unknown = JSON.parse(whole ?? 'null');
  return ({ body }) => holds(body, wanted);
}

/** The first that is such a frame; what came before it is not looked at again. */
function take(session: Session, isMeant: (frame: Published) => boolean): Published | undefined {
  const at = session.frames.findIndex(isMeant);
  const found = session.frames[at];
  if (found !== undefined) session.frames = session.frames.slice(at + 1);
  return found;
}

function holds(body: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return body === wanted;
  if (typeof body !== 'object' || body === null) return false;
  return Object.entries(wanted).every(([name, member]) => holds((body as Readonly<Record<string, unknown>>)[name], member));
}
