import { describe, expect, it } from 'vitest';
import type { Json } from '#kit/canonical.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import type { ConnectionDeclaration, Content, DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import { deviceId, digest } from '#model/ids.ts';
import { emptyReport, type ReportedItem } from '#model/reported.ts';
import type { DeviceFacts, PinnedItem } from '#ports/family.ts';
import { mongooseFamily } from './family.ts';
import { indexMatch } from './index-match.ts';
import type { FirmwareSeen } from './reports.ts';
import { buildSimBundle } from './sim-image.ts';
import { freshUrl, onTrial, readFirmwareName, readInfo, readStatus } from './wire.ts';

const BUILD = '20261101-120000/main@abc1234';
const [ONE, TWO, THREE] = [`1.0.0 ${BUILD}`, `2.0.0 ${BUILD}`, `3.0.0 ${BUILD}`];

type Type = ConnectionDeclaration['type'];

function device(options: Readonly<Record<string, Json>> = {}, change: Partial<DeviceFacts> = {}): DeviceFacts {
  const facts = { id: 'b0', model: 'esp32', serial: null, address: 'esp32_b0', labels: {}, values: {}, options };
  return { ...facts, connectionType: 'mqtt', ...change };
}

describe('what can be said before anything is sent', () => {
  it.each<{
    readonly name: string;
    readonly options?: Readonly<Record<string, Json>>;
    readonly type?: Type | null;
    readonly address?: string;
    readonly codes: readonly string[];
  }>([
    { name: 'a board of a broker', codes: [] },
    { name: 'a board of AWS IoT that commits by itself', type: 'aws-iot', options: { commit: 'self' }, codes: [] },
    { name: 'a board of AWS IoT that nobody can tell to commit', type: 'aws-iot', codes: ['COMMIT_UNREACHABLE'] },
    { name: 'a board of a hub, which direct methods commit', type: 'azure-iot', codes: [] },
    { name: 'one that direct methods update, too', type: 'azure-iot', options: { ota: 'rpc' }, codes: [] },
    { name: 'one of a hub that says its version by calls', type: 'azure-iot', options: { shadow: { generation: 'flat' } }, codes: [] },
    { name: 'calls over AWS IoT', type: 'aws-iot', options: { ota: 'rpc', commit: 'self' }, codes: ['OTA_UNREACHABLE'] },
    { name: 'a board of mDash', type: 'mdash', codes: [] },
    { name: 'a shadow at mDash', type: 'mdash', options: { ota: 'shadow' }, codes: ['OTA_UNREACHABLE'] },
    { name: 'mDash at a broker', options: { ota: 'mdash' }, codes: ['OTA_UNREACHABLE'] },
    { name: 'a connection that is not known', type: null, codes: [] },
    { name: 'a window that is too short', options: { commitTimeout: '60s' }, codes: ['COMMIT_TIMEOUT'] },
    { name: 'the same where the board commits', options: { commitTimeout: '60s', commit: 'self' }, codes: [] },
    {
      name: 'the flat generation without calls',
      type: 'aws-iot',
      options: { commit: 'self', shadow: { generation: 'flat' } },
      codes: ['VERSION_UNREPORTED'],
    },
    { name: 'a host of which nobody tells', options: { host: {} }, codes: ['HOST_UNREPORTED'] },
    { name: 'a host that is asked', options: { host: { method: 'Host.Info' } }, codes: [] },
    {
      name: 'the same without calls',
      type: 'aws-iot',
      options: { commit: 'self', host: { method: 'Host.Info' } },
      codes: ['HOST_UNREPORTED'],
    },
    { name: 'a name with a wildcard', address: 'esp32/#', codes: ['BOARD_NAME'] },
  ])('$name', ({ options = {}, type = 'mqtt', address = 'esp32_b0', codes }) => {
    const problems = mongooseFamily.lint(device(options, { connectionType: type, address }));
    expect(problems.map(({ code }) => code)).toEqual(codes);
    expect(problems.every(({ fix }) => fix !== undefined)).toBe(true);
  });
});

function pin(
  change: Partial<PinnedItem> & { readonly bytes?: Uint8Array; readonly version?: string; readonly reportsAs?: string } = {},
): PinnedItem {
  const { bytes = bundle(), version = '2.0.0', reportsAs = null, ...rest } = change;
  const content: Content = { kind: 'bytes', name: 'logger.zip', digest: digest('0'), size: bytes.length, bytes };
  const artifact = { name: 'logger', version, reportsAs };
  return { item: 'firmware', artifact, content, document: null, firmware: null, certificates: [], ...rest };
}

function bundle(platform = 'esp32'): Uint8Array {
  return buildSimBundle({ platform, version: '2.0.0', buildId: BUILD });
}

const elsewhere = { kind: 'url', name: 'logger.zip', digest: digest('0'), size: null, url: 'https://fw.example/logger.zip' } as const;

describe('what a pin must be reported as', () => {
  it.each<{
    readonly name: string;
    readonly pinned: PinnedItem;
    readonly options?: Readonly<Record<string, Json>>;
    readonly answer: string;
  }>([
    { name: 'the manifest says it', pinned: pin(), answer: TWO },
    { name: 'a platform in other letters', pinned: pin({ bytes: bundle('ESP32') }), answer: TWO },
    { name: 'a bundle for others', pinned: pin({ bytes: bundle('esp8266') }), answer: 'WRONG_PLATFORM' },
    { name: 'the platform of options', pinned: pin({ bytes: bundle('esp8266') }), options: { platform: 'esp8266' }, answer: TWO },
    { name: 'bytes that are no bundle', pinned: pin({ bytes: new TextEncoder().encode('no zip') }), answer: 'BAD_BUNDLE' },
    { name: 'one of two builds', pinned: pin({ version: '2.0.0-second' }), answer: TWO },
    { name: 'another version', pinned: pin({ version: '2.0.1' }), answer: 'WRONG_VERSION' },
    { name: 'reportsAs that agrees', pinned: pin({ version: 'stable', reportsAs: TWO }), answer: TWO },
    { name: 'reportsAs that does not', pinned: pin({ reportsAs: ONE }), answer: 'WRONG_VERSION' },
    { name: 'a version without its build', pinned: pin({ reportsAs: '2.0.0' }), answer: 'BUILD_UNKNOWN' },
    { name: 'a bundle that lies elsewhere', pinned: pin({ content: elsewhere }), answer: 'BUILD_UNKNOWN' },
    { name: 'the same with its build', pinned: pin({ content: elsewhere, reportsAs: TWO }), answer: TWO },
    { name: 'no artifact', pinned: pin({ artifact: null }), answer: 'CONTENT_MISSING' },
    { name: 'a host of which nobody tells', pinned: pin({ item: 'firmware.host', bytes: bundle('ccm_host') }), answer: 'HOST_UNREPORTED' },
    {
      name: 'a host',
      pinned: pin({ item: 'firmware.host', bytes: bundle('ccm_host') }),
      options: { host: { reported: '/host' } },
      answer: TWO,
    },
    { name: 'a config', pinned: pin({ item: 'config' }), answer: 'UNKNOWN_ITEM' },
  ])('$name', ({ pinned, options = {}, answer }) => {
    const expected = mongooseFamily.expectation(device(options), pinned);
    expect(expected.ok ? expected.value.value : expected.error.code).toBe(answer);
  });

  it('is ordered by its version alone', () => {
    expect(mongooseFamily.compareVersions(`1.10.0 ${BUILD}`, '1.9.0')).toBeGreaterThan(0);
    expect(mongooseFamily.compareVersions(onTrial(TWO), '2.0.0')).toBe(0);
  });
});

interface State {
  readonly value: string;
  readonly before?: string;
  readonly arch?: string;
}

function planned(
  options: Readonly<Record<string, Json>>,
  { value, before, arch }: State,
  declared = TWO,
  type: Type = 'mqtt',
): readonly string[] {
  const facts = device(options, { connectionType: type });
  const expected = mongooseFamily.expectation(facts, pin({ content: elsewhere, reportsAs: declared }));
  if (!expected.ok) throw new Error(expected.error.summary);
  const place = { file: 'groups/all.yaml', line: 1, column: 1 };
  const item: DeclaredItem = {
    item: 'firmware',
    place,
    artifact: 'logger@2.0.0',
    part: 'firmware logger@2.0.0',
    needs: { firmware: null, neverBelow: null },
    drift: 'correct',
    ...expected.value,
    facts: expected.value.facts,
  };
  const board = { ...facts, id: deviceId('b0'), via: { connection: 'field', to: null }, items: [item] } as unknown as DeclaredDevice;
  const seen: Partial<FirmwareSeen> = { since: 5, before: before ?? null, arch: arch ?? null, appliedAt: null, bootedAt: null };
  const reported: ReportedItem = { kind: 'value', value, facts: seen as Json, madeNotBefore: 5, source: 'Sys.GetInfo' };
  const report = { ...emptyReport(deviceId('b0')), items: { firmware: reported } };
  const { drafts, impossible } = mongooseFamily.operations({ device: board, items: [item], reported: report, drifted: ['firmware'] });
  return [
    ...drafts.map(({ step, delivery, declared: to, attentionMs, completes }) =>
      [step, delivery, to, attentionMs, completes?.step, completes?.healthySince].filter((part) => part !== undefined).join(' '),
    ),
    ...impossible.map(({ reason, evidence }) => `${reason}: ${evidence}`),
  ];
}

describe('what a board is told', () => {
  const tenMinutes = 10 * MINUTE_MS;

  it.each<{
    readonly name: string;
    readonly options?: Readonly<Record<string, Json>>;
    readonly state: State;
    readonly declared?: string;
    readonly type?: Type;
    readonly steps: readonly string[];
  }>([
    { name: 'an update by a call', state: { value: ONE }, steps: [`update push ${TWO} ${tenMinutes}`] },
    { name: 'an update over the shadow', options: { ota: 'shadow' }, state: { value: ONE }, steps: [`update offer ${TWO} ${tenMinutes}`] },
    {
      name: 'an update that needs nobody',
      options: { ota: 'shadow', commit: 'self' },
      state: { value: ONE },
      steps: [`update offer ${TWO} `],
    },
    { name: 'to keep what it tries', state: { value: onTrial(TWO), before: ONE }, steps: [`commit push ${TWO} update 5`] },
    {
      name: 'nothing, where it keeps it by itself',
      options: { commit: 'self' },
      state: { value: onTrial(TWO), before: ONE },
      steps: [`PRECONDITION_MOVED: TRIAL: runs ${TWO}, which the board itself commits or goes back from`],
    },
    {
      name: 'to go back from what is not declared any more',
      state: { value: onTrial(TWO), before: ONE },
      declared: ONE,
      steps: [`revert push ${ONE}  update `],
    },
    {
      name: 'to go back before it is told the next',
      state: { value: onTrial(TWO), before: ONE },
      declared: THREE,
      steps: [`revert push ${ONE}  update `],
    },
    {
      name: 'nothing, where nobody can call it',
      options: { commit: 'self' },
      type: 'aws-iot',
      state: { value: onTrial(TWO), before: ONE },
      declared: THREE,
      steps: [`PRECONDITION_MOVED: TRIAL: runs ${TWO}, and goes back by itself when its commit window ends`],
    },
    { name: 'an update, its platform in other letters', state: { value: ONE, arch: 'ESP32' }, steps: [`update push ${TWO} ${tenMinutes}`] },
    {
      name: 'nothing, where the bundle is for others',
      state: { value: ONE, arch: 'esp8266' },
      steps: ['INCOMPATIBLE: WRONG_PLATFORM: the board is esp8266, and the bundle is for esp32'],
    },
  ])('$name', ({ options = {}, state, declared, type, steps }) => {
    expect(planned(options, state, declared, type)).toEqual(steps);
  });
});

describe('what boards say', () => {
  it.each<{ readonly text: string; readonly name: unknown }>([
    { text: TWO, name: { version: '2.0.0', buildId: BUILD } },
    { text: '2.0.0', name: null },
    { text: '2.0.0 a b', name: null },
    { text: '', name: null },
  ])('$text is a firmware, or none', ({ text, name }) => {
    expect(readFirmwareName(text)).toEqual(name);
  });

  it.each<Json>([
    null,
    [],
    'idle',
    { state: 4, is_committed: true },
    { state: 0 },
    { state: '0', is_committed: true },
    { is_committed: true },
  ])('a status that is none: %j', (status) => {
    expect(readStatus(status)).toBe(null);
  });

  it.each<Json>([
    {},
    { fw_version: '1.0' },
    { fw_version: 1, fw_id: 'a' },
    { fw_version: '1.0', fw_id: 'a b' },
    { fw_version: '1.0', fw_id: '\u0000' },
  ])('an answer without a firmware: %j', (info) => {
    expect(readInfo(info)?.firmware).toBe(null);
  });
});

describe('the URL of an attempt', () => {
  const content = { kind: 'url', name: 'f.zip', digest: digest('0'), size: null } as const;
  it.each([
    { own: 'https://fw.example/f.zip', url: 'https://fw.example/f.zip', made: 'https://fw.example/f.zip?attempt=a-2' },
    { own: 'https://fw.example/f.zip?x=1', url: 'https://fw.example/f.zip?x=1', made: 'https://fw.example/f.zip?x=1&attempt=a-2' },
    { own: 'https://fw.example/f.zip#top', url: 'https://fw.example/f.zip#top', made: 'https://fw.example/f.zip?attempt=a-2#top' },
    { own: 'https://fw.example/f.zip', url: 'https://depot/f.zip?X-Amz-Signature=1', made: 'https://depot/f.zip?X-Amz-Signature=1' },
    { own: 'https://fw.example/f.zip', url: 'https://serve/1-2-3/f.zip', made: 'https://serve/1-2-3/f.zip' },
  ])('$url', ({ own, url, made }) => {
    expect(freshUrl(url, { content: { ...content, url: own }, attempt: 'a-2' })).toBe(made);
  });
});

it('is found in the index by its firmware and that it keeps it', () => {
  const board = { options: {}, items: [{ item: 'firmware', value: TWO }] } as unknown as DeclaredDevice;
  expect(indexMatch(board)?.declared).toBe(
    `shadow.reported.ota.fw_id:"${BUILD}" AND shadow.reported.ota.fw_version:"2.0.0" AND shadow.reported.ota.is_committed:true`,
  );
  expect(indexMatch({ ...board, options: { shadow: { generation: 'flat' } } })).toBe(null);
});
