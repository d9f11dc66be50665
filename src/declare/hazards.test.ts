import { describe, expect, it } from 'vitest';
import { campbellFamily } from '#adapters/campbell/family.ts';
import { programText } from '#test/support/campbell.ts';
import { declare } from './declare.ts';
import { revisionOfFiles } from './revision-of.ts';

function hazards(artifacts: string): readonly string[] {
  const files = {
    'fleet.yaml': `kind: Fleet
format: 1
name: upland
branch: main
ledger: { store: git, id: upland }
connections:
  field: { type: mqtt, url: 'mqtt://broker.example.org' }
  depot: { type: s3, bucket: depot-of-artifacts, region: eu-west-2 }
artifacts: ${artifacts}
`,
    'devices/loggers.yaml': `kind: Devices
family: campbell
via: field
defaults: { model: CR1000X }
devices:
  moor-house: { serial: "1", address: cr1000x/1 }
  trout-beck: { serial: "2", address: cr1000x/2 }
`,
    'groups/all.yaml': 'kind: Group\nname: all\nselect: all\npins: { program: { file: files/a.CR1X } }\nrollout: at-once\n',
    'files/a.CR1X': programText('a'),
  };
  const families = new Map([['campbell', campbellFamily]]);
  const { declared, diagnostics } = declare({ revision: revisionOfFiles(files, 'x'), families, at: 0 });
  if (declared === null) throw new Error(JSON.stringify(diagnostics));
  return (declared.hazards ?? []).map(({ text }) => text);
}

describe('hazards', () => {
  it('are the error pages of a bucket that become programs', () => {
    expect(hazards('{ via: depot, urls: presigned }')).toEqual([
      'an error page, for a late URL or a lost file, becomes the program of 2 campbell devices: artifacts.urls is presigned, not serve',
    ]);
  });

  it('are none with a server that does not answer then', () => {
    expect(hazards("{ urls: serve, publicUrl: 'http://files.example.org' }")).toEqual([]);
  });
});
