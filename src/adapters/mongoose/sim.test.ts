import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SECOND_MS } from '#kit/duration.ts';
import type { JsonObject } from '#model/shadow.ts';
import { BOARD, BUNDLE, bundleOf, CALLER, onBench, SERVED, type MongooseBench, type Published } from '#test/support/mongoose-bench.ts';
import { Heard } from '#test/support/shadow-wires.ts';
import rows from './fixtures/rpc.json' with { type: 'json' };
import vectors from './fixtures/shadow.json' with { type: 'json' };

const PAGE = readFileSync('docs/protocols/shadow-devices.md', 'utf8');
const PREFIX = `$aws/things/${BOARD}/shadow`;
const BUNDLES: Readonly<Record<string, readonly [string, Uint8Array]>> = {
  '2.0': [SERVED, BUNDLE],
  '1.1': ['https://fw.example/a/1.1.zip', bundleOf({ version: '1.1' })],
  'other platform': [SERVED, bundleOf({ platform: 'esp8266' })],
};

type Step = Readonly<Record<string, string | number | boolean>>;

/** Plays a vector of §3.6; frames of the device are compared as text where the page has them whole. */
class Play {
  readonly #bench: MongooseBench;
  readonly #deltas: Heard;
  #frames: Published[] = [];

  constructor(bench: MongooseBench, deltas: Heard) {
    this.#bench = bench;
    this.#deltas = deltas;
    bench.published();
  }

  async step(step: Step): Promise<void> {
    const [[kind = '', value = ''] = []] = Object.entries(step);
    this.#frames.push(...this.#bench.published());
    if (typeof value === 'number') await this.#count(kind, value);
    else await this.#text(kind, String(value));
  }

  async #count(kind: string, value: number): Promise<void> {
    const { aws, clock, board } = this.#bench;
    if (kind === 'advance') await clock.advance(value * SECOND_MS);
    else if (kind === 'version')
      while ((aws.shadows.contentOf({ thing: BOARD, shadow: null })?.version ?? 0) < value)
        await this.#write({ state: { reported: { count: (aws.shadows.contentOf({ thing: BOARD, shadow: null })?.version ?? 0) + 1 } } });
    else throw new Error(`${kind} of ${board.id}`);
  }

  async #text(kind: string, text: string): Promise<void> {
    const { board, clock, serve, call } = this.#bench;
    if (kind === 'cloud' || kind === 'rival') await this.#write(JSON.parse(text) as JsonObject);
    else if (kind === 'delta') expect(this.#deltas.take(`${PREFIX}/update`)[0]?.[1]).toMatchObject(JSON.parse(text) as object);
    else if (kind === 'serve') serve(...(BUNDLES[text] ?? ['', BUNDLE]));
    else if (kind === 'call') expect((await call(text))[0]?.body).toMatchObject({ result: null });
    else if (kind === 'power') await clock.run(text === 'on' ? board.powerOn() : board.powerOff()).then(() => clock.settled());
    else if (kind === 'truth') expect(board.truth()['firmware']).toBe(text);
    else this.#said(kind, text);
  }

  #said(kind: string, text: string): void {
    if (kind === 'forget') {
      this.#frames = [];
      this.#deltas.take(PREFIX);
    } else if (kind === 'silence') expect(this.#frames.map((frame) => frame.text)).toEqual([]);
    else if (kind === 'device' || kind === 'get')
      expect(this.#take((frame) => frame.text === text)?.topic, text).toBe(`${PREFIX}/${kind === 'get' ? 'get' : 'update'}`);
    else
      this.#take(
        (frame) =>
          holds(
            frame.body,
            {
              among: text,
              ota: `{"state":{"reported":{"ota":${text}}}}`,
              reported: `{"state":{"reported":${text}}}`,
              url: `{"state":{"reported":{"ota":{"url":"${text}"}}}}`,
            }[kind] ?? '',
          ),
        text,
      );
  }

  /** The first that is such a frame; what came before it is not looked at again. */
  #take(isSuch: (frame: Published) => boolean, what = ''): Published | undefined {
    const at = this.#frames.findIndex(isSuch);
    expect(at, `${what} among ${this.#frames.map(({ text }) => text).join(' ')}`).toBeGreaterThanOrEqual(0);
    const found = this.#frames[at];
    this.#frames = this.#frames.slice(at + 1);
    return found;
  }

  async #write(body: JsonObject): Promise<void> {
    await this.#bench.publish(`${PREFIX}/update`, JSON.stringify(body));
  }
}

function holds(body: unknown, text: string): boolean {
  try {
    expect(body).toMatchObject(JSON.parse(text) as object);
    return true;
  } catch {
    return false;
  }
}

describe('updates over the shadow (§3.6)', () => {
  it.each(vectors as readonly { readonly name: string; readonly steps: readonly Step[] }[])('$name', ({ steps }) =>
    onBench(async (bench) => {
      await bench.clock.run(bench.cloud.subscribe([`${PREFIX}/update/delta`], 1));
      const play = new Play(bench, new Heard(bench.cloud));
      for (const step of steps) await play.step(step);
    }),
  );

  it('are told in the frames of the page', () => {
    const own = new Set(['1.1.zip', 'elsewhere', '{"clientToken":"88713090"}']);
    const frames = vectors.flatMap(({ steps }) =>
      (steps as readonly Step[]).flatMap((step) =>
        Object.entries(step).flatMap(([, value]) => (typeof value === 'string' && value.startsWith('{') ? [value] : [])),
      ),
    );
    const foreign = frames.filter((frame) => !PAGE.includes(frame) && ![...own].some((word) => frame.includes(word)));
    // B4 has no frame on the page: the delta of B1 comes again, without its version.
    expect(new Set(foreign)).toEqual(
      new Set([
        '{"state":{"ota":{"url":"https://fw.example/a/2.0.zip?attempt=1"}}}',
        '{"state":{"desired":{"ota":{"url":"https://fw.example/a/2.0.zip?attempt=2"}}}}',
      ]),
    );
    expect(frames.length).toBeGreaterThan(15);
  });

  it('subscribe in one packet to five topics, and the token is the CRC of the thing', () =>
    onBench(async ({ aws }) => {
      expect(aws.broker.subscriptionsOf(BOARD)).toEqual(
        Object.fromEntries(
          [
            ...['get/accepted', 'get/rejected', 'update/accepted', 'update/rejected', 'update/delta'].map((name) => `${PREFIX}/${name}`),
            `${BOARD}/rpc`,
            `${BOARD}/rpc/#`,
          ].map((filter) => [filter, 1]),
        ),
      );
    }));
});

describe('calls (§4.5)', () => {
  it.each(rows)('$request', ({ request, reply, given, executed }) =>
    onBench(async ({ board, clock, serve, tell, call, published }) => {
      serve('http://h/f.zip', BUNDLE);
      if (given === 'uncommitted') await call('OTA.Update', { url: 'http://h/f.zip', commit_timeout: 300 }, 30 * SECOND_MS);
      published();
      await tell(request);
      await clock.advance(given === 'bundle' ? 10 * SECOND_MS : 0);
      const replies = published().filter(({ topic }) => topic === `${CALLER}/rpc`);
      expect(replies.map(({ text }) => text)).toEqual(reply === undefined ? [] : [JSON.stringify(JSON.parse(reply))]);
      if (executed !== undefined) expect(board.effects.some(({ kind }) => kind === 'commit')).toBe(executed);
    }),
  );
});
