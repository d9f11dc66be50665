/** Where what the page says is shown: a file, and words of the test in it. */
type Proof = readonly [file: string, words: string];

/** Tests that show it, or why none can. */
export type Standing = { readonly shown: readonly Proof[] } | { readonly not: string };

const AGAIN = 'test/scenarios/boards-same-version-again.script';
const AZUREBOARD = 'src/adapters/mongoose/sim-azure.test.ts';
const BENCH = 'src/adapters/mongoose/fixtures/shadow.json';
const BOARDS = 'test/shadow-devices/board-wire.test.ts';
const BUNDLE = 'src/adapters/mongoose/bundle.test.ts';
const CERTS = 'src/adapters/chariot/sim-certificates.test.ts';
const CONFIRM = 'src/adapters/mongoose/confirm.test.ts';
const DRIVERRPC = 'src/adapters/mongoose/driver-rpc.test.ts';
const FOREIGN = 'test/servers/aws.test.ts';
const HOST = 'test/scenarios/boards-host.script';
const HUB = 'src/sim/azure/hub.test.ts';
const MODES = 'test/shadow-devices/failure-modes.test.ts';
const NOTCOMMITTED = 'test/scenarios/boards-not-committed.out';
const PROPERTY = 'test/property/shadow-histories.test.ts';
const RPC = 'src/adapters/mongoose/rpc.test.ts';
const RPCROWS = 'src/adapters/mongoose/fixtures/rpc.json';
const SERVER = 'src/sim/aws/server.test.ts';
const SESSIONS = 'src/adapters/chariot/fixtures/sessions.json';
const SHELL = 'src/adapters/chariot/fixtures/shell.json';
const SIMRPC = 'src/adapters/mongoose/sim-rpc.test.ts';
const STORE = 'src/sim/aws/shadow-store.test.ts';
const SWIRE = 'src/sim/aws/shadow-wire.test.ts';
const TIMES = 'src/adapters/chariot/sim-times.test.ts';
const UPDATE = 'src/adapters/mongoose/sim-update.test.ts';
const VALUES = 'src/adapters/chariot/values.test.ts';
const WIRE = 'test/shadow-devices/gateway-vectors.ts';

/**
 * Each vector, rule and failure mode of docs/protocols/shadow-devices.md, in the order of the page, with the beginning of the
 * SHA-256 of its words: where those change, whoever changes them looks at the tests that show it, and writes the new one here.
 */
export const PROOFS: readonly (readonly [id: string, digest: string, standing: Standing])[] = [
  [
    '§1 rule 1',
    '1e9ae937',
    {
      shown: [
        [STORE, 'the vectors of the page'],
        [PROPERTY, 'the delta is always the difference'],
      ],
    },
  ],
  [
    '§1 rule 2',
    'c792081f',
    {
      shown: [
        [PROPERTY, 'versions grow by one'],
        [STORE, 'the vectors of the page'],
      ],
    },
  ],
  [
    '§1 rule 3',
    '0d797142',
    {
      shown: [
        [STORE, 'keeps the shadows of a thing apart'],
        [WIRE, `id: 'F9'`],
      ],
    },
  ],
  ['§1 rule 4', '5e0c3998', { shown: [[STORE, 'delta after a pure report']] }],
  ['§1 rule 5', '75550e6e', { shown: [[PROPERTY, 'the delta is always the difference']] }],
  [
    '§1 rule 6',
    'f9bc3ae9',
    {
      shown: [
        [SERVER, 'throws what AWS throws, with its words'],
        [FOREIGN, 'say alike what is not there'],
        [SWIRE, 'refuses what comes while ten requests'],
      ],
    },
  ],
  ['§1 rule 7', 'd58224b8', { shown: [[MODES, `'F12'`]] }],
  [
    '§1 rule 8',
    'e6a3de4b',
    {
      shown: [
        [SERVER, 'shadows by the SDK'],
        [WIRE, 'The reconciler writes, over HTTPS'],
      ],
    },
  ],
  [
    '§2.6 "2.0.1", "v1.10"',
    '7d035755',
    {
      shown: [
        [SHELL, 'roundTrips'],
        [VALUES, 'SHELL_CHANGES'],
      ],
    },
  ],
  [
    '§2.6 "1.10"',
    '42653fd9',
    {
      shown: [
        [SHELL, 'roundTrips'],
        [VALUES, 'SHELL_CHANGES'],
      ],
    },
  ],
  [
    '§2.6 "007"',
    'fe9e2ebb',
    {
      shown: [
        [SHELL, 'roundTrips'],
        [VALUES, 'SHELL_CHANGES'],
      ],
    },
  ],
  [
    '§2.6 "1e3"',
    'e827b90a',
    {
      shown: [
        [SHELL, 'roundTrips'],
        [VALUES, 'SHELL_CHANGES'],
      ],
    },
  ],
  [
    '§2.6 "0x10"',
    '4d205e0e',
    {
      shown: [
        [SHELL, 'roundTrips'],
        [VALUES, 'SHELL_CHANGES'],
      ],
    },
  ],
  [
    '§2.6 "true"',
    'b10b7e3f',
    {
      shown: [
        [SHELL, 'roundTrips'],
        [VALUES, 'SHELL_CHANGES'],
      ],
    },
  ],
  [
    '§2.6 "Infinity"',
    'bfe67078',
    {
      shown: [
        [SHELL, 'roundTrips'],
        [VALUES, 'SHELL_CHANGES'],
      ],
    },
  ],
  [
    '§2.6 {"commit_timeout":60}',
    '1f8f827e',
    {
      shown: [
        [SHELL, 'roundTrips'],
        [VALUES, 'SHELL_CHANGES'],
      ],
    },
  ],
  [
    '§2.6 value with a newline',
    '67f1148d',
    {
      shown: [
        [SHELL, 'roundTrips'],
        [VALUES, 'SHELL_CHANGES'],
      ],
    },
  ],
  [
    '§2.6 ["1.10","x y"]',
    'fcd2b175',
    {
      shown: [
        [SHELL, 'roundTrips'],
        [VALUES, 'SHELL_CHANGES'],
      ],
    },
  ],
  ['§2.10 send-queue tick after (re)connect', '56b1989b', { shown: [[TIMES, 'subscribes in one packet, and asks a tick later']] }],
  ['§2.10 delta → outfile written → update sent', '8a81dfda', { shown: [[SESSIONS, 'A2 and A3']] }],
  ['§2.10 shadow operation time-out', '4a0f290e', { shown: [[TIMES, 'asks again every 10 s where nobody answers']] }],
  [
    '§2.10 update retry / fetch retry',
    '2654233c',
    {
      shown: [
        [TIMES, 'after 3 s where a report is refused'],
        [TIMES, 'asks again after 5 s where it is refused'],
      ],
    },
  ],
  [
    '§2.10 notifycmd limit',
    '5514a43d',
    { not: 'a command is a program on the device: that it fails or is killed shows by what runs alone (the fault notifyFails)' },
  ],
  ['§2.10 default-shadow command limit', '1db6f7ab', { not: 'what a command for the first shadow says is reported as the files are (A1)' }],
  ['§2.10 exit when the broker cannot be reached', 'b61cfd4f', { shown: [[TIMES, 'ends where the sixth attempt would start']] }],
  ['§2.10 exit when get is never answered', '4e44d7b8', { shown: [[TIMES, 'ends after 50 s']] }],
  [
    '§2.10 exit when no certificate and no provisioning config',
    '4a0f290e',
    { shown: [[CERTS, 'ends each 10 s without a certificate and a claim']] },
  ],
  ['§2.10 exit after failed provisioning', '1422c6b0', { shown: [[CERTS, 'stays up for 30 s after it was refused']] }],
  ['§2.11 missing mandatory option', 'bae42f42', { not: 'of the command line of chariotd' }],
  ['§2.11 SIGTERM / SIGINT', '91adbdc5', { shown: [[CERTS, 'leaves without a goodbye, so that its will is sent']] }],
  ['§2.11 no usable certificate', 'fb2b1d13', { shown: [[CERTS, 'ends each 10 s without a certificate and a claim']] }],
  ['§2.11 provisioning done', '5186e1a1', { shown: [[CERTS, 'stores what it is issued, and goes on with the old one']] }],
  ['§2.11 provisioning failed', '08dd08ec', { shown: [[CERTS, 'stays up for 30 s after it was refused']] }],
  [
    '§2.11 connection refused, or TLS refused by the broker (1 certificate)',
    '3fc36dcf',
    { shown: [[TIMES, 'ends where the sixth attempt would start']] },
  ],
  ['§2.11 same with ≥ 2 certificates', 'f50f761f', { shown: [[CERTS, 'crashes in its own rotation once its certificate is withdrawn']] }],
  ['§2.11 shadow requests unanswered', '70000acf', { shown: [[TIMES, 'ends after 50 s']] }],
  ['§2.11 message queue jammed', '25ce5706', { not: 'telemetry, which Headgate has no part in' }],
  ['§2.11 unhandled promise rejection', 'bae42f42', { not: 'ends like every other exit: its supervisor starts it again' }],
  [
    'F1',
    '16dd082b',
    {
      shown: [
        [WIRE, `id: 'F1'`],
        [MODES, `'F1'`],
      ],
    },
  ],
  [
    'F2',
    '897b16cd',
    {
      shown: [
        [WIRE, `id: 'F2'`],
        [MODES, `'F2'`],
      ],
    },
  ],
  [
    'F3',
    '6c74b870',
    {
      shown: [
        [WIRE, `id: 'F3'`],
        [MODES, `'F3'`],
      ],
    },
  ],
  [
    'F4',
    'c7f90c6f',
    {
      shown: [
        [WIRE, `id: 'F4'`],
        [MODES, `'F4'`],
      ],
    },
  ],
  [
    'F5',
    'de008304',
    {
      shown: [
        [WIRE, `id: 'F5'`],
        [MODES, `'F5'`],
      ],
    },
  ],
  [
    'F6',
    '56048838',
    {
      shown: [
        [WIRE, `id: 'F6'`],
        [MODES, `'F6'`],
      ],
    },
  ],
  [
    'F7',
    'f1e01154',
    {
      shown: [
        [WIRE, `id: 'F7'`],
        [MODES, `'F7'`],
      ],
    },
  ],
  [
    'F8',
    '80a27f74',
    {
      shown: [
        [WIRE, `id: 'F8'`],
        [MODES, `'F8'`],
      ],
    },
  ],
  [
    'F9',
    'f1d90233',
    {
      shown: [
        [WIRE, `id: 'F9'`],
        [MODES, `'F9'`],
      ],
    },
  ],
  [
    'F10',
    '1190653b',
    {
      shown: [
        [WIRE, `id: 'F10'`],
        [MODES, `'F10'`],
      ],
    },
  ],
  [
    'F11',
    'bf351f10',
    {
      shown: [
        [WIRE, `id: 'F11'`],
        [MODES, `'F11'`],
      ],
    },
  ],
  ['F12', 'b35065fe', { shown: [[MODES, `'F12'`]] }],
  [
    'F13',
    '7afdc05d',
    {
      shown: [
        [WIRE, `id: 'F13'`],
        [MODES, `'F13'`],
      ],
    },
  ],
  [
    'F14',
    '99386487',
    {
      shown: [
        [WIRE, `id: 'F14'`],
        [MODES, `'F14'`],
      ],
    },
  ],
  [
    'A1',
    '7a5b63bc',
    {
      shown: [
        [WIRE, `id: 'A1'`],
        [SESSIONS, '"A1: '],
      ],
    },
  ],
  [
    'A2',
    '72e0dfab',
    {
      shown: [
        [WIRE, `id: 'A2'`],
        [SESSIONS, 'A2 and A3'],
      ],
    },
  ],
  [
    'A3',
    '2bba9a1d',
    {
      shown: [
        [WIRE, `id: 'A3'`],
        [SESSIONS, 'A2 and A3'],
      ],
    },
  ],
  [
    'A4',
    '03b6a235',
    {
      shown: [
        [WIRE, `id: 'A4'`],
        [SESSIONS, '"A4: '],
      ],
    },
  ],
  [
    'A5',
    '1a3bac4e',
    {
      shown: [
        [WIRE, `id: 'A5'`],
        [SESSIONS, '"A5: '],
      ],
    },
  ],
  [
    'A6',
    '5e2dbdf3',
    {
      shown: [
        [WIRE, `id: 'A6'`],
        [SESSIONS, '"A6: '],
      ],
    },
  ],
  [
    'A7',
    'd5688929',
    {
      shown: [
        [WIRE, `id: 'A7'`],
        [SESSIONS, '"A7: '],
      ],
    },
  ],
  [
    'A8',
    '63cdc769',
    {
      shown: [
        [WIRE, `id: 'A8'`],
        [SESSIONS, '"A8: '],
      ],
    },
  ],
  [
    'A9',
    '363df499',
    {
      shown: [
        [WIRE, `id: 'A9'`],
        [SHELL, '"A9"'],
      ],
    },
  ],
  [
    'A10',
    '5fa6fe09',
    {
      shown: [
        [WIRE, `id: 'A10'`],
        [SESSIONS, '"A10: '],
      ],
    },
  ],
  ['§3.4 rule 1', 'c9dd1c43', { shown: [[UPDATE, 'ends with its window, at any restart']] }],
  ['§3.4 rule 2', 'abc27989', { shown: [[UPDATE, 'refuses every further update, and OTA.Revert ends it']] }],
  [
    '§3.4 rule 3',
    'ff2fff91',
    {
      shown: [
        [RPCROWS, '\\"code\\":-1'],
        [UPDATE, 'ends with its window, at any restart'],
      ],
    },
  ],
  [
    '§3.4 rule 4',
    '3588e470',
    {
      shown: [
        [CONFIRM, 'ROLLED_BACK'],
        [NOTCOMMITTED, 'ROLLED_BACK'],
      ],
    },
  ],
  [
    '§3.4 rule 5',
    'b4b9ded6',
    {
      shown: [
        [AGAIN, 'by a URL that they have not seen'],
        [BENCH, 'B4: the same URL once more'],
      ],
    },
  ],
  ['§3.4 rule 6', 'cf497743', { shown: [[HOST, 're-pinning goes down as well as up']] }],
  ['§3.4 rule 7', 'eff2ac3e', { shown: [[UPDATE, 'reports every 50,000 bytes, or every 5 s']] }],
  [
    'B1',
    '5bc0dd48',
    {
      shown: [
        [BENCH, 'B1: '],
        [BOARDS, 'mongooseVectors(onWires)'],
      ],
    },
  ],
  [
    'B2',
    '772c695a',
    {
      shown: [
        [BENCH, 'B2: '],
        [BOARDS, 'mongooseVectors(onWires)'],
      ],
    },
  ],
  [
    'B3',
    '7943362d',
    {
      shown: [
        [BENCH, 'B3: '],
        [BOARDS, 'mongooseVectors(onWires)'],
      ],
    },
  ],
  [
    'B4',
    '9c91f7d8',
    {
      shown: [
        [BENCH, 'B4: '],
        [BOARDS, 'mongooseVectors(onWires)'],
      ],
    },
  ],
  [
    'B5',
    '1415ff74',
    {
      shown: [
        [BENCH, 'B5: '],
        [BOARDS, 'mongooseVectors(onWires)'],
      ],
    },
  ],
  [
    '§4.2 id',
    '6dd65fd0',
    {
      shown: [
        [RPC, 'has the id %s as %j'],
        [SIMRPC, 'is dropped'],
      ],
    },
  ],
  ['§4.2 no id', 'fe7c7ca5', { shown: [[RPCROWS, '{\\"src\\":\\"recon-1\\",\\"method\\":\\"OTA.Commit\\"}']] }],
  ['§4.2 id but no src', '4704217a', { shown: [[RPCROWS, '{\\"id\\":6,\\"method\\":\\"OTA.Commit\\"}']] }],
  ['§4.2 dst present but not ours', 'db812272', { shown: [[RPCROWS, '\\"dst\\":\\"other\\"']] }],
  ['§4.2 unknown method', '5e908c0a', { shown: [[RPCROWS, 'No handler for Nope.X']] }],
  ['§4.2 success without data', 'b1660d83', { shown: [[RPCROWS, '\\"result\\":null']] }],
  ['§4.2 **error code 0**', 'b59b14e2', { shown: [[DRIVERRPC, 'takes error.code 0 for success']] }],
  [
    '§4.2 bad JSON',
    '3514cf81',
    {
      shown: [
        [RPC, 'no JSON'],
        [SIMRPC, 'is dropped'],
      ],
    },
  ],
  ['§4.2 pending reboot', '26778886', { shown: [[SIMRPC, 'answer 418 in the last 100 ms before a restart']] }],
  [
    '§4.2 ACL',
    '4bcfc0df',
    {
      shown: [
        [SIMRPC, 'takes the right answer to its question'],
        [SIMRPC, 'or forbids some methods to everybody'],
      ],
    },
  ],
  [
    '§4.2 limits',
    '33d1c73c',
    {
      shown: [
        [RPC, 'what is longer than a frame'],
        [DRIVERRPC, 'sends nothing that a board cannot read'],
      ],
    },
  ],
  ['§4.2 vector', '43e7b2cd', { shown: [[RPC, 'answers the vector of the page']] }],
  [
    '§4.5',
    '24f1cae7',
    {
      shown: [
        [RPCROWS, 'OTA.GetBootState'],
        [BOARDS, 'mongooseVectors(onWires)'],
      ],
    },
  ],
  ['§7 manifest', 'd102d198', { shown: [[BUNDLE, 'the bundle of the page, zipped by programs of others']] }],
  [
    'D1',
    '9de80498',
    {
      shown: [
        [HUB, 'vector D1'],
        [AZUREBOARD, '(§8, D1)'],
      ],
    },
  ],
];
