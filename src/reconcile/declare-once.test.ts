import { describe, expect, it } from 'vitest';
import { Secret } from '#kit/secret.ts';
import type { OpenedSecret, OpenedSecrets } from '#ports/secrets.ts';
import { revisionOfFiles } from '#declare/revision-of.ts';
import { declareOnce, type LastAnswer } from './declare-once.ts';

const START = Date.UTC(2026, 10, 23, 8);
const ENDS = Date.UTC(2026, 10, 24);
const NOTHING: OpenedSecrets = { identityProblem: null, of: () => undefined };
const NEEDED = { identity: null, files: [] };

const FILES = {
  'fleet.yaml': 'kind: Fleet\nname: north\n',
  'overrides/one.yaml': 'kind: Override\nname: one\nselect: { ids: [weir] }\nreason: a trial\nfreeze: true\nuntil: 2026-11-23\n',
};

function open(at = START, secrets = NOTHING, commit: string | null = 'c1') {
  const { ref, ...files } = revisionOfFiles(FILES);
  return { revision: { ...files, ref: { ...ref, commit } }, families: new Map(), at, base: null, secrets };
}

function secretsWith(opened: OpenedSecret): OpenedSecrets {
  return { identityProblem: null, of: () => opened };
}

describe('what is declared', () => {
  it('is read once for a commit, until an instant comes that the declarations name', () => {
    const state: { last: LastAnswer | null } = { last: null };
    const first = declareOnce(state, open(), NEEDED);
    expect(first.until).toBe(ENDS);
    expect(declareOnce(state, open(ENDS - 1), NEEDED)).toBe(first);
    const after = declareOnce(state, open(ENDS), NEEDED);
    expect(after).not.toBe(first);
    expect(after.diagnostics.map(({ code }) => code)).toContain('OVERRIDE_LAPSED');
    expect(declareOnce(state, open(ENDS + 1), NEEDED)).toBe(after);
    expect(declareOnce(state, open(START), NEEDED)).not.toBe(after);
  });

  it.each([
    ['of another commit', open(START, NOTHING, 'c2')],
    ['against a base', { ...open(), base: open(START, NOTHING, 'c0').revision }],
    ['where the identity broke', open(START, { ...NOTHING, identityProblem: 'no identity' })],
  ])('is read anew %s', (_what, input) => {
    const state: { last: LastAnswer | null } = { last: null };
    const first = declareOnce(state, open(), NEEDED);
    expect(declareOnce(state, input, NEEDED)).not.toBe(first);
  });

  it('is read each time from a working tree', () => {
    const state: { last: LastAnswer | null } = { last: null };
    const first = declareOnce(state, open(START, NOTHING, null), NEEDED);
    expect(declareOnce(state, open(START, NOTHING, null), NEEDED)).not.toBe(first);
  });

  it('is read anew when a secret opens to something else, or no longer', () => {
    const state: { last: LastAnswer | null } = { last: null };
    const needed = { identity: null, files: [{ path: 'a.age', oid: 'o1', bytes: new Uint8Array() }] };
    const sealed = { kind: 'problem', code: 'SEALED', message: 'no identity here' } as const;
    const opened = { kind: 'opened', secret: new Secret(new Uint8Array([1])) } as const;
    const first = declareOnce(state, open(START, secretsWith(sealed)), needed);
    expect(declareOnce(state, open(START, secretsWith({ ...sealed })), needed)).toBe(first);
    const second = declareOnce(state, open(START, secretsWith(opened)), needed);
    expect(second).not.toBe(first);
    expect(declareOnce(state, open(START, secretsWith(opened)), needed)).toBe(second);
    expect(declareOnce(state, open(START, secretsWith({ ...opened })), needed)).not.toBe(second);
    expect(declareOnce(state, open(START, secretsWith(sealed)), needed)).not.toBe(second);
  });
});
