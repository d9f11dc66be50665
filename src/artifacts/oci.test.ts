import { describe, expect, it } from 'vitest';
import { sha256 } from '#kit/digest.ts';
import { digest } from '#model/ids.ts';
import type { HttpAnswer } from '#ports/wires.ts';
import { fetchOci, registryAuthIn, type OciContent } from './oci.ts';

const IMAGE = new TextEncoder().encode('firmware');
const LAYER = `sha256:${sha256(IMAGE)}`;
const CONTENT: OciContent = {
  kind: 'oci',
  name: 'node:1',
  registry: 'registry.example.org',
  repository: 'fleet/node',
  tag: '1',
  digest: digest(sha256(IMAGE)),
  size: null,
};
const MANIFEST = JSON.stringify({ layers: [{ mediaType: 'text/plain' }, { mediaType: 'application/octet-stream', digest: LAYER }] });

interface Asked {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A registry that answers by the end of the URL, and lets in whoever shows `Bearer t` or the password. */
function registry(answers: Readonly<Record<string, Partial<HttpAnswer> | string>>, challenge: string | null = null) {
  const asked: Asked[] = [];
  const get = (url: string, { headers = {} }: { readonly headers?: Readonly<Record<string, string>> }): Promise<HttpAnswer> => {
    asked.push({ url, headers });
    const known = ['Bearer t', 'Basic cHc='].includes(headers['authorization'] ?? '');
    if (challenge !== null && url.includes('/v2/') && !known) {
      return Promise.resolve({ status: 401, headers: { 'www-authenticate': challenge }, bytes: new Uint8Array() });
    }
    const [, found = { status: 404 }] = Object.entries(answers).find(([end]) => url.includes(end)) ?? [];
    const answer = typeof found === 'string' ? { bytes: new TextEncoder().encode(found) } : found;
    return Promise.resolve({ status: 200, headers: {}, bytes: new Uint8Array(), ...answer });
  };
  return { asked, get };
}

const whole = { 'manifests/1': MANIFEST, [`blobs/${LAYER}`]: { bytes: IMAGE } };

describe('an image of a registry', () => {
  it('is its first layer of firmware, by tag and digest', async () => {
    const { asked, get } = registry(whole);
    expect(await fetchOci(CONTENT, { wires: { get } }, { maxBytes: 100 })).toEqual({ ok: true, value: IMAGE });
    expect(asked.map(({ url }) => url)).toEqual([
      'https://registry.example.org/v2/fleet/node/manifests/1',
      `https://registry.example.org/v2/fleet/node/blobs/${LAYER}`,
    ]);
    expect(asked[0]?.headers['accept']).toContain('application/vnd.oci.image.manifest.v1+json');
  });

  it('is asked for with a token, as the registry says where', async () => {
    const challenge = 'Bearer realm="https://auth.example.org/token?x=1",service="reg",scope="repository:fleet/node:pull"';
    const { asked, get } = registry({ ...whole, 'auth.example.org': '{"access_token":"t"}' }, challenge);
    const ports = { wires: { get }, registryAuth: () => 'cHc=' };
    expect(await fetchOci(CONTENT, ports, { maxBytes: 100 })).toMatchObject({ ok: true });
    const token = asked.find(({ url }) => url.startsWith('https://auth.example.org/'));
    expect(token?.url).toBe('https://auth.example.org/token?x=1&service=reg&scope=repository%3Afleet%2Fnode%3Apull');
    expect(token?.headers).toEqual({ authorization: 'Basic cHc=' });
    expect(asked.filter(({ url }) => url.includes('auth.example.org'))).toHaveLength(1);
  });

  it('is asked for with the password where the registry wants that', async () => {
    const { get } = registry(whole, 'Basic realm="r"');
    const ports = { wires: { get }, registryAuth: () => 'cHc=' };
    expect(await fetchOci(CONTENT, ports, { maxBytes: 100 })).toMatchObject({ ok: true });
    expect(await fetchOci(CONTENT, { wires: { get } }, { maxBytes: 100 })).toMatchObject({ ok: false, error: { code: 'UNREACHABLE' } });
  });

  const manifestNamed = { headers: { 'docker-content-digest': `sha256:${'0'.repeat(64)}` }, bytes: new TextEncoder().encode(MANIFEST) };
  it.each([
    ['no manifest', { 'manifests/1': { status: 404 } }, null, 'MISSING'],
    ['a server error', { 'manifests/1': { status: 503 } }, null, 'UNREACHABLE'],
    ['a login page', { 'manifests/1': '<html>' }, null, 'UNVERIFIED'],
    ['null', { 'manifests/1': 'null' }, null, 'UNVERIFIED'],
    ['layers that are none', { 'manifests/1': '{"layers":[null,7,{}]}' }, null, 'UNVERIFIED'],
    ['another manifest than the one it names', { 'manifests/1': manifestNamed }, null, 'UNVERIFIED'],
    ['another layer', { 'manifests/1': MANIFEST.replace(LAYER, `sha256:${'0'.repeat(64)}`) }, null, 'UNVERIFIED'],
    ['no blob', { 'manifests/1': MANIFEST }, null, 'MISSING'],
    ['a token that is none', { ...whole, 'auth.example.org': '{}' }, 'Bearer realm="https://auth.example.org/"', 'UNREACHABLE'],
    ['a token without TLS', { ...whole, 'auth.example.org': '{"token":"t"}' }, 'Bearer realm="http://auth.example.org/"', 'UNREACHABLE'],
    ['an unknown login', whole, 'Negotiate', 'UNREACHABLE'],
    ['a challenge without words', whole, '', 'UNREACHABLE'],
  ] as const)('with %s', async (_name, answers, challenge, code) => {
    const { get } = registry(answers, challenge);
    expect(await fetchOci(CONTENT, { wires: { get }, registryAuth: () => 'secret' }, { maxBytes: 100 })).toMatchObject({
      ok: false,
      error: { code },
    });
  });
});

describe('DOCKER_AUTH_CONFIG', () => {
  it.each([
    ['{"auths":{"r.example.org":{"auth":"eDp5"}}}', 'eDp5'],
    ['{"auths":{"https://r.example.org":{"auth":"eDp5"}}}', 'eDp5'],
    ['{"auths":{"other":{"auth":"eDp5"}}}', null],
    ['{"auths":{"r.example.org":{}}}', null],
    ['not JSON', null],
    [undefined, null],
  ])('%s', (DOCKER_AUTH_CONFIG, auth) => expect(registryAuthIn({ DOCKER_AUTH_CONFIG })('r.example.org')).toBe(auth));
});
