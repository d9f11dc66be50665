import { describe, expect, it } from 'vitest';
import { declare } from '#declare/declare.ts';
import { revisionOfFiles } from '#declare/revision-of.ts';
import { identityJson, type IdentityVersion } from '#model/identity.ts';
import { deviceId } from '#model/ids.ts';
import { declaredItem, declaredLogger, programText } from '#test/support/campbell.ts';
import { soonOf } from '#view/soon.ts';
import { credentialsOf } from './credentials.ts';
import { campbellFamily } from './family.ts';

function version(name: string, withdrawn = false): IdentityVersion {
  const fingerprint = name.replaceAll(/\D/g, '').padEnd(64, 'a');
  return { name, fingerprint, subject: 'CN=x', notBefore: 0, notAfter: 1, der: '', withdrawn };
}

describe('the credentials of a logger', () => {
  it('are all its certificates that nobody calls withdrawn, without any part of a key', () => {
    const facts = identityJson({
      use: version('field-identity@2026'),
      keep: [version('field-identity@2025')],
      others: [version('field-identity@2024', true)],
      clientId: 'CR1000X_70681',
    });
    const item = { ...declaredItem({ item: 'identity', value: 'x', content: null }), facts };
    expect(credentialsOf(declaredLogger(), [item], true)).toEqual(credentialsOf(declaredLogger(), [item], false));
    expect(credentialsOf(declaredLogger(), [item], false)).toEqual([
      'certificate field-identity@2026 (SHA-256 2026aaaaaaaaaaaa…)',
      'certificate field-identity@2025 (SHA-256 2025aaaaaaaaaaaa…)',
    ]);
  });

  it('are else what its client id leads to, where that is known', () => {
    expect(credentialsOf(declaredLogger(), [], false)).toEqual(['what client CR1000X_70681 connects to field with']);
    expect(credentialsOf(declaredLogger({ serial: null }), [], false)).toEqual([]);
  });
});

const FILES = {
  'fleet.yaml': `kind: Fleet
format: 1
name: upland
branch: main
ledger: { store: git, id: upland }
connections: { field: { type: mqtt, url: 'mqtt://broker.example.org' } }
artifacts: { urls: serve, publicUrl: 'http://files.example.org' }
`,
  'devices/loggers.yaml': `kind: Devices
family: campbell
via: field
defaults: { model: CR1000X }
devices:
  moor-house: { serial: "70681", address: QU8Q-9JTY-HVP8 }
  trout-beck: { serial: "70682", address: cr1000x/70682, retired: 2026-11-22 }
`,
  'groups/all.yaml': `kind: Group
name: all
select: all
pins: { program: { file: files/a.CR1X } }
settings: { MQTTUserName: 'logger-\${serial}' }
rollout: at-once
`,
  'files/a.CR1X': programText('a'),
};

it('are listed when a logger is retired, and when its hardware is replaced', () => {
  const at = Date.parse('2026-11-23T08:00:00Z');
  const answer = declare({ revision: revisionOfFiles(FILES, 'x'), families: new Map([['campbell', campbellFamily]]), at });
  if (answer.declared === null) throw new Error(JSON.stringify(answer.diagnostics));
  const { declared } = answer;
  expect(soonOf(declared, at).map(({ text }) => text)).toEqual(['trout-beck is retired: revoke account logger-70682 at field']);
  expect(soonOf(declared, at, [deviceId('moor-house')]).map(({ text }) => text)).toEqual([
    'trout-beck is retired: revoke account logger-70682 at field',
    'the hardware of moor-house was replaced: revoke what the box before connected to field with',
  ]);
});
