import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { families } from '#adapters/registry.ts';
import { FAULTS } from '#adapters/campbell/sim-faults.ts';
import { CANEDGE_FAULTS } from '#adapters/canedge/sim-faults.ts';
import { CHARIOT_FAULTS } from '#adapters/chariot/sim-faults.ts';
import { DROGUE_FAULTS } from '#adapters/drogue/sim-faults.ts';
import { MONGOOSE_FAULTS } from '#adapters/mongoose/sim-faults.ts';
import { MAPPED_FAULTS } from '#shadows/mapped/sim-faults.ts';
import { CAMPBELL_LIES } from './lies-campbell.ts';
import { CANEDGE_LIES } from './lies-canedge.ts';
import { CHARIOT_LIES } from './lies-chariot.ts';
import { DROGUE_LIES } from './lies-drogue.ts';
import { MONGOOSE_LIES } from './lies-mongoose.ts';
import { SHADOW_LIES } from './lies-shadow.ts';
import { TWIN_LIES } from './lies-twin.ts';
import { conclusion, evidence, intents, leftBehind, recorded, tellLie } from './stage.ts';
import type { Lie } from './stage.ts';

const LIES = [...CAMPBELL_LIES, ...CANEDGE_LIES, ...CHARIOT_LIES, ...DROGUE_LIES, ...MONGOOSE_LIES, ...SHADOW_LIES, ...TWIN_LIES];
const TABLE = join(import.meta.dirname, 'verdicts.txt');
/** Commands and offers that a liar may be sent before a person is asked: two items, three attempts each. */
const MOST_INTENTS = 6;

const verdicts = new Map<string, string>();

/**
 * One fleet per lie: a device that lies or fails beside three honest ones. After every pass nothing that counts, or is
 * recorded, as converged may carry anything else in truth, and every other device has exactly one reason.
 */
describe.each(['campbell', 'canedge', 'chariot', 'drogue', 'mongoose', 'shadow', 'twin'] as const)('a %s device that', (family) => {
  it.each(LIES.filter((lie) => lie.family === family))('$name', { timeout: 60_000 }, async (lie) => {
    const stage = await tellLie(lie);
    const end = conclusion(stage);
    const outcome = recorded(stage);
    const sent = await intents(stage);
    const late = leftBehind(stage);
    verdicts.set(lie.name, `${lie.name}\n    → ${end.split(' ', 1)[0]}${evidence(stage) === '' ? '' : `  ${evidence(stage)}`}`);
    await stage.fleet.close();
    expect(late, 'honest devices that did not converge').toEqual([]);
    expect(end).toBe(lie.ends);
    expect(sent).toBeLessThanOrEqual(MOST_INTENTS);
    if (lie.outcome !== undefined) expect(outcome).toBe(lie.outcome);
    if (lie.untellable === undefined) expect(stage.wrong).toEqual([]);
    else expect(stage.wrong.length, 'it could be told after all: the docs say that it cannot').toBeGreaterThan(0);
  });
});

describe('the corpus', () => {
  it('comes to these verdicts: the table that a reviewer reads', () => {
    expect([...verdicts.keys()]).toEqual(LIES.map((lie) => lie.name));
    const text = `${LIES.map((lie) => verdicts.get(lie.name)).join('\n')}\n`;
    if (process.env['GOLDEN'] === 'write') writeFileSync(TABLE, text);
    expect(text).toBe(readFileSync(TABLE, 'utf8'));
  });

  it('is made of different lies, more than were asked for', () => {
    expect(new Set(LIES.map((lie) => lie.name)).size).toBe(LIES.length);
    expect(LIES.length).toBeGreaterThanOrEqual(24);
    expect(new Set(LIES.map((lie) => lie.family))).toEqual(new Set(families().keys()));
  });

  it('holds every fault that the simulators know', () => {
    const told = (family: Lie['family']) => new Set(LIES.filter((lie) => lie.family === family).flatMap((lie) => lie.faults));
    expect(FAULTS.filter((fault) => !told('campbell').has(fault))).toEqual([]);
    expect(CANEDGE_FAULTS.filter((fault) => !told('canedge').has(fault))).toEqual([]);
    expect(CHARIOT_FAULTS.filter((fault) => !told('chariot').has(fault))).toEqual([]);
    expect(DROGUE_FAULTS.filter((fault) => !told('drogue').has(fault))).toEqual([]);
    expect(MONGOOSE_FAULTS.filter((fault) => !told('mongoose').has(fault))).toEqual([]);
    expect(MAPPED_FAULTS.filter((fault) => !told('shadow').has(fault))).toEqual([]);
    expect(MAPPED_FAULTS.filter((fault) => !told('twin').has(fault))).toEqual([]);
  });

  it('says in the docs what cannot be told apart', () => {
    const said = LIES.flatMap(({ untellable }) => (untellable === undefined ? [] : [untellable]));
    expect(said.length).toBeGreaterThan(0);
    for (const { page, says } of said) expect(readFileSync(page, 'utf8').replaceAll(/\s+/g, ' ')).toContain(says);
  });
});
