import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeArtifacts } from '#artifacts/artifacts.ts';
import { registryAuthIn } from '#artifacts/oci.ts';
import { sha256 } from '#kit/digest.ts';
import type { Content } from '#model/declared.ts';
import { declaredOf } from '#test/support/memory-fleet.ts';
import { startRegistry, type Registry } from '#test/support/registry.ts';
import { systemClock } from '#transports/clock.ts';
import { makeNetworkWires } from '#transports/wires.ts';

/** The image of docs/protocols/drogue-dfu.md §8.3. */
const IMAGE = Uint8Array.from({ length: 20 }, (_, index) => (7 * index + 3) % 256);
const FIRMWARE = { mediaType: 'application/octet-stream', bytes: IMAGE };
const README = { mediaType: 'text/markdown', bytes: new TextEncoder().encode('# a node') };

let registry: Registry;
beforeAll(async () => {
  registry = await startRegistry();
  await registry.push('fleet/node', '0.1.1', [README, FIRMWARE, { ...FIRMWARE, bytes: Uint8Array.of(1, 2, 3) }]);
  await registry.push('fleet/node', '0.1.2', [README]);
});
afterAll(() => registry.close());

/** What a fleet repo declares that names this image. */
function declaredContent(version: string, digest: string = sha256(IMAGE)): Content {
  const declared = declaredOf({
    'fleet.yaml': `kind: Fleet
format: 1
name: pulled
branch: main
zone: Europe/London
ledger: { store: 'sqlite:ledger.db', id: pulled, lasting: true }
connections: { field: { type: mqtt, url: 'mqtt://127.0.0.1:1883' } }
`,
    'devices/nodes.yaml': `kind: Devices\nfamily: drogue\nvia: field\ndevices:\n  n1: { model: nrf52 }\n`,
    'artifacts/node.yaml': `kind: Artifact
name: node
item: firmware
fits: { family: drogue }
versions:
  ${version}: { from: 'oci:${registry.host}/fleet/node:${version}', sha256: ${digest}, size: 20 }
`,
    'groups/all.yaml': `kind: Group\nname: all\nselect: all\npins: { firmware: node@${version} }\nrollout: at-once\n`,
  });
  const content = declared.deviceAt(0).items[0]?.content;
  if (content == null) throw new Error('nothing is declared');
  return content;
}

function pull(content: Content, auth: string | null = registry.auth) {
  const env = auth === null ? {} : { DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { [registry.host]: { auth } } }) };
  const artifacts = makeArtifacts({
    wires: makeNetworkWires({ clock: systemClock, env }),
    connection: () => undefined,
    mode: { via: null, urls: 'direct', publicUrl: null },
    cacheDir: null,
    clock: systemClock,
    registryAuth: registryAuthIn(env),
  });
  return artifacts.bytes(content);
}

describe('an image in a registry that wants tokens', () => {
  test('is pulled: the first layer of firmware, by one token', async () => {
    const before = registry.tokens();
    const got = await pull(declaredContent('0.1.1'));
    expect(got.ok && sha256(got.value)).toBe(sha256(IMAGE));
    expect(registry.tokens() - before).toBe(1);
  });

  test.each([
    ['another layer than the declared one', () => declaredContent('0.1.1', '0'.repeat(64)), 'UNVERIFIED'],
    ['no firmware in it', () => declaredContent('0.1.2'), 'UNVERIFIED'],
    ['no such tag', () => declaredContent('0.1.3'), 'MISSING'],
  ])('%s', async (_name, content, code) => {
    expect(await pull(content())).toMatchObject({ ok: false, error: { code } });
  });

  test('nobody without the password, and the password stands in no message', async () => {
    const wrong = Buffer.from('puller:guessed').toString('base64');
    for (const auth of [null, wrong]) {
      const got = await pull(declaredContent('0.1.1'), auth);
      expect(got).toMatchObject({ ok: false, error: { code: 'UNREACHABLE' } });
      expect(JSON.stringify(got)).not.toContain(wrong);
    }
  });
});
