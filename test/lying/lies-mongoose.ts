import type { Json } from '#kit/canonical.ts';
import type { Lie, Stage } from './stage.ts';

/** Told by calls, and committed by Headgate. */
const called = { family: 'mongoose', change: ['firmware'], hours: 2.5, group: 'options: { commitTimeout: 20m }\n' } as const;
/** Told by its shadow, and called to commit. */
const shadowed = { ...called, group: 'options: { ota: shadow, commitTimeout: 20m }\n' } as const;
/** Told by its shadow, and commits by itself. */
const selfish = { ...called, group: 'options: { ota: shadow, commit: self }\n' } as const;

function faulty(name: string, value: Json = true): Pick<Lie, 'faults' | 'begin'> {
  return { faults: [name], begin: (stage) => stage.liar.fault(name, value) };
}

/** Somebody else writes into the shadow of the liar. */
function wrote(stage: Stage, state: object): Promise<void> {
  return stage.publishTo('$aws/things/liar/shadow/update', new TextEncoder().encode(JSON.stringify({ state })));
}

function desired(stage: Stage, url: string): Promise<void> {
  return wrote(stage, { desired: { ota: { url } } });
}

function reported(stage: Stage, ota: object): Promise<void> {
  return wrote(stage, { reported: { ota } });
}

/** Answers that nobody asked for: ids are not to be guessed. */
async function told(stage: Stage, count: number): Promise<void> {
  const result = { fw_version: '1.1.0', fw_id: '20261101-120000', is_committed: true, state: 0, mac: 'A4CF12000000', arch: 'esp32' };
  for (let id = 1; id <= count; id += 1) {
    const reply = JSON.stringify({ id, src: 'liar', dst: 'liar/rpc-resp/headgate', result });
    await stage.publishTo('liar/rpc-resp/headgate/rpc', new TextEncoder().encode(reply));
  }
}

export const MONGOOSE_LIES: readonly Lie[] = [
  { ...called, ...faulty('bootsBack'), name: 'starts the new firmware and is back in the old one at once', ends: 'FAILED ROLLED_BACK' },
  { ...called, ...faulty('crash', 20), name: 'runs the new firmware for 20 s, and never long enough', ends: 'FAILED ROLLED_BACK' },
  { ...called, ...faulty('hang'), name: 'hangs in the new firmware until its window is over', ends: 'FAILED ROLLED_BACK' },
  { ...called, ...faulty('powerloss'), name: 'loses its power in the trial', ends: 'FAILED ROLLED_BACK' },
  { ...called, ...faulty('neverCommits'), name: 'cannot be committed', ends: 'QUARANTINED ATTEMPTS_SPENT' },
  { ...called, ...faulty('brick'), name: 'wrote the new firmware, restarted, and is gone', ends: 'LOST' },
  { ...called, ...faulty('downloadFails'), name: 'never reaches the server of its bundle', ends: 'QUARANTINED ATTEMPTS_SPENT' },
  { ...called, ...faulty('stalls', 50), name: 'stands still in the middle of its download', ends: 'QUARANTINED ATTEMPTS_SPENT' },
  { ...called, ...faulty('wrongPlatform'), name: 'is a board of another platform', ends: 'INCOMPATIBLE WRONG_PLATFORM' },
  { ...called, ...faulty('wrongVersion', '1.0.9'), name: 'comes back with a version that is in no bundle', ends: 'FAILED WRONG_RESULT' },
  { ...called, ...faulty('wrongIdentity'), name: 'is another board under the old name', ends: 'IDENTITY_MISMATCH' },
  { ...called, ...faulty('duplicateDelivery'), name: 'carries out each call twice', ends: 'converged' },
  { ...called, ...faulty('replyLost', 'OTA.Update'), name: 'updates, and the answer is lost', ends: 'converged' },
  { ...called, ...faulty('replyLost', 'OTA.Commit'), name: 'commits, and the answer is lost', ends: 'converged' },
  { ...called, ...faulty('autocommit'), name: 'commits by itself before it is told', ends: 'converged' },
  { ...called, ...faulty('rpcOnly'), name: 'has no shadow at all', ends: 'converged' },
  { ...called, ...faulty('slow', 10), name: 'loads and starts ten times as slowly as the others', ends: 'converged' },
  { ...called, ...faulty('forbids'), name: 'lets nobody update it', ends: 'NEVER_REPORTED' },
  { ...called, ...faulty('wantsAuth'), name: 'asks who calls, and nobody says', ends: 'NEVER_REPORTED' },
  { ...called, ...faulty('garbage'), name: 'answers in broken frames', ends: 'OFFLINE' },
  { ...called, ...faulty('mute'), name: 'carries everything out and says nothing', ends: 'OFFLINE' },
  { ...called, ...faulty('silentToRpc'), name: 'no longer takes calls', ends: 'OFFLINE' },
  { ...called, ...faulty('resultsTrue'), name: 'says true where others say nothing', ends: 'converged' },
  {
    ...called,
    ...faulty('echo'),
    name: 'says that it runs what it never wrote',
    ends: 'converged',
    untellable: { page: 'src/adapters/mongoose/readme.md', says: 'says that it runs the new firmware, and does not' },
  },
  { ...shadowed, ...faulty('bootsBack'), name: 'takes the URL, and is back in the old firmware', ends: 'FAILED ROLLED_BACK' },
  { ...shadowed, ...faulty('neverCommits'), name: 'takes the URL, and cannot be committed', ends: 'QUARANTINED ATTEMPTS_SPENT' },
  { ...shadowed, ...faulty('silentToRpc'), name: 'takes the URL, and hears no commit', ends: 'FAILED ROLLED_BACK' },
  {
    ...shadowed,
    ...faulty('downloadFails', 'Invalid CRC'),
    name: 'takes each URL, and says that its bundle is damaged',
    ends: 'QUARANTINED ATTEMPTS_SPENT',
  },
  { ...shadowed, ...faulty('urlAfterSuccess'), name: 'says which URL it took once it has it', ends: 'converged' },
  { ...shadowed, ...faulty('obeysGet'), name: 'takes what its get answers for an order', ends: 'converged' },
  { ...shadowed, ...faulty('refusesWhileUncommitted'), name: 'leaves what comes in a trial in its mailbox', ends: 'converged' },
  { ...shadowed, ...faulty('garbage'), name: 'reports a list in the place of its update', ends: 'OFFERED' },
  { ...shadowed, ...faulty('mute'), name: 'takes the URL, and reports nothing', ends: 'OFFERED' },
  {
    ...selfish,
    options: { commitTimeout: '600' },
    ...faulty('neverCommits'),
    name: 'is to commit by itself, and does not',
    ends: 'FAILED ROLLED_BACK',
  },
  { ...selfish, ...faulty('slow', 10), name: 'takes the URL, loads slowly, and commits by itself', ends: 'converged' },
  { ...called, ...faulty('pretends'), name: 'says that it wrote what it never loaded', ends: 'QUARANTINED ATTEMPTS_SPENT' },
  { ...called, ...faulty('pretends', 'Not Modified'), name: 'says that there is nothing new for it', ends: 'QUARANTINED ATTEMPTS_SPENT' },
  {
    ...shadowed,
    ...faulty('pretends'),
    name: 'takes the URL, and reports that it wrote what it never loaded',
    ends: 'QUARANTINED ATTEMPTS_SPENT',
  },
  {
    ...shadowed,
    faults: [],
    after: (stage, pass) => (pass === 1 ? desired(stage, 'https://elsewhere.example/x.zip') : undefined),
    name: 'has somebody else write another URL over the offer',
    ends: 'converged',
  },
  {
    ...called,
    ...faulty('downloadFails'),
    after: (stage) => told(stage, 7),
    name: 'fails, while somebody answers to its caller that it runs the new firmware',
    ends: 'QUARANTINED ATTEMPTS_SPENT',
  },
  {
    ...shadowed,
    ...faulty('downloadFails'),
    after: (stage) => reported(stage, { status: 3, message: 'Update applied, finalizing', progress_percent: 100 }),
    name: 'takes the URL and fails, while somebody reports for it that it wrote it',
    ends: 'QUARANTINED ATTEMPTS_SPENT',
  },
  {
    ...shadowed,
    ...faulty('downloadFails'),
    after: (stage) => reported(stage, { fw_version: '1.1.0', fw_id: '20261101-120000', is_committed: true, status: 0 }),
    name: 'takes the URL and fails, while somebody reports for it that it runs the new firmware',
    ends: 'converged',
    untellable: { page: 'src/adapters/mongoose/readme.md', says: 'somebody else can report there that it runs what it does not' },
  },
];
