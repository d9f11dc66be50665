import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BOARD, onBench } from '#test/support/mongoose-bench.ts';
import { mongooseVectors, SHADOW_SESSIONS } from '#test/support/mongoose-vectors.ts';

const PAGE = readFileSync('docs/protocols/shadow-devices.md', 'utf8');
const PREFIX = `$aws/things/${BOARD}/shadow`;

describe('the vectors of the page', () => {
  it.each(mongooseVectors())('$file $name', ({ check }) => check());

  it('are told in its own frames', () => {
    const texts = SHADOW_SESSIONS.flatMap(({ steps }) => steps.flatMap((step) => Object.values(step).map(String)));
    const frames = texts.filter((text) => text.startsWith('{'));
    // B3 and B5 need a second URL, B4 the delta of B1 without its version.
    const foreign = frames.filter(
      (frame) => !PAGE.includes(frame) && !/attempt=2|1\.1\.zip|elsewhere|^\{"clientToken":"\w+"\}$/.test(frame),
    );
    expect(new Set(foreign)).toEqual(new Set(['{"state":{"ota":{"url":"https://fw.example/a/2.0.zip?attempt=1"}}}']));
    expect(frames.length).toBeGreaterThan(15);
  });
});

it('subscribes to the five topics of its shadow and to calls, all with QoS 1', () =>
  onBench(({ aws }) => {
    const shadow = ['get/accepted', 'get/rejected', 'update/accepted', 'update/rejected', 'update/delta'].map(
      (name) => `${PREFIX}/${name}`,
    );
    const filters = [...shadow, `${BOARD}/rpc`, `${BOARD}/rpc/#`];
    expect(aws.broker.subscriptionsOf(BOARD)).toEqual(Object.fromEntries(filters.map((filter) => [filter, 1])));
    return Promise.resolve();
  }));
