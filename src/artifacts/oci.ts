import { sha256 } from '#kit/digest.ts';
import { ok, type Result } from '#kit/result.ts';
import type { Content } from '#model/declared.ts';
import type { ArtifactProblem } from '#ports/artifacts.ts';
import type { HttpAnswer, Wires } from '#ports/wires.ts';
import { problem } from './problem.ts';

export type OciContent = Extract<Content, { kind: 'oci' }>;

export interface OciPorts {
  readonly wires: Pick<Wires, 'get'>;
  /** `user:password` in base64 for a registry; null where everybody may pull. */
  registryAuth?(registry: string): string | null;
}

/** A manifest is a page of JSON, a token as well. */
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
const MAX_TOKEN_BYTES = 64 * 1024;
const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.artifact.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];
const FIRMWARE_TYPE = 'application/octet-stream';

/**
 * The bytes of the first layer of type `application/octet-stream`: docs/protocols/drogue-dfu.md §8.3. The layer must be
 * the declared one by its digest; whoever asks verifies the bytes. Throws WireError.
 */
export async function fetchOci(
  content: OciContent,
  ports: OciPorts,
  limits: { readonly maxBytes: number; readonly signal?: AbortSignal },
): Promise<Result<Uint8Array, ArtifactProblem>> {
  const pull = new Pull(content, ports, limits.signal);
  const { tag, name, digest } = content;
  const manifest = await pull.get(`manifests/${tag}`, { maxBytes: MAX_MANIFEST_BYTES, accept: MANIFEST_TYPES.join(', ') });
  if (!manifest.ok) return manifest;
  const named = manifest.value.headers['docker-content-digest'];
  if (named !== undefined && named !== `sha256:${sha256(manifest.value.bytes)}`) {
    return problem('UNVERIFIED', `${name}: the manifest is not the one that ${content.registry} names`);
  }
  const layer = firmwareLayer(manifest.value.bytes);
  if (layer === null) return problem('UNVERIFIED', `${name}: the image ${tag} has no layer of type ${FIRMWARE_TYPE}`);
  if (layer !== `sha256:${digest}`) return problem('UNVERIFIED', `${name}: the image ${tag} holds ${layer}, declared is sha256:${digest}`);
  const blob = await pull.get(`blobs/${layer}`, { maxBytes: limits.maxBytes, accept: '*/*' });
  return blob.ok ? ok(blob.value.bytes) : blob;
}

/** Its digest; null for a manifest that is none, or has none. */
function firmwareLayer(bytes: Uint8Array): string | null {
  let manifest: unknown;
  try {
    manifest = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return null;
  }
  // `blobs` in the short-lived artifact manifests.
  const { layers, blobs } = (manifest ?? {}) as { readonly layers?: unknown; readonly blobs?: unknown };
  const parts = Array.isArray(layers) ? layers : Array.isArray(blobs) ? blobs : [];
  const found = (parts as readonly { readonly mediaType?: unknown; readonly digest?: unknown }[]).find(
    (layer) => layer?.mediaType === FIRMWARE_TYPE,
  );
  return typeof found?.digest === 'string' ? found.digest : null;
}

interface Wanted {
  readonly maxBytes: number;
  readonly accept: string;
}

/** The requests of one pull, which share what the registry let them in by. */
class Pull {
  readonly #content: OciContent;
  readonly #ports: OciPorts;
  readonly #signal: AbortSignal | undefined;
  #authorization: string | null = null;

  constructor(content: OciContent, ports: OciPorts, signal: AbortSignal | undefined) {
    this.#content = content;
    this.#ports = ports;
    this.#signal = signal;
  }

  async get(path: string, wanted: Wanted): Promise<Result<HttpAnswer, ArtifactProblem>> {
    const { registry, name } = this.#content;
    let answer = await this.#once(path, wanted);
    if (answer.status === 401 && this.#authorization === null) {
      const authorization = await this.#authorize(answer.headers['www-authenticate'] ?? '');
      if (!authorization.ok) return authorization;
      this.#authorization = authorization.value;
      answer = await this.#once(path, wanted);
    }
    if (answer.status === 200) return ok(answer);
    if (answer.status === 404) return problem('MISSING', `${name}: ${registry} has no such image`);
    return problem('UNREACHABLE', `${name}: ${registry} answered ${answer.status}`);
  }

  #once(path: string, { maxBytes, accept }: Wanted): Promise<HttpAnswer> {
    const { registry, repository } = this.#content;
    const authorization = this.#authorization === null ? {} : { authorization: this.#authorization };
    const url = `${schemeOf(registry)}://${registry}/v2/${repository}/${path}`;
    return this.#ports.wires.get(url, { maxBytes, headers: { accept, ...authorization } }, this.#signal);
  }

  /** As the registry asks: with the password itself, or with a token that somebody else gives for it. */
  async #authorize(challenge: string): Promise<Result<string, ArtifactProblem>> {
    const { registry, name, repository } = this.#content;
    const basic = this.#ports.registryAuth?.(registry) ?? null;
    const [, scheme = '', rest = ''] = /^\s*(\w+)\s*(.*)$/s.exec(challenge) ?? [];
    if (scheme.toLowerCase() === 'basic') {
      if (basic !== null) return ok(`Basic ${basic}`);
      return problem('UNREACHABLE', `${name}: ${registry} asks for a password; DOCKER_AUTH_CONFIG names none for it`);
    }
    const fields = Object.fromEntries([...rest.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value]));
    const realm = fields['realm'] === undefined ? null : URL.parse(fields['realm']);
    if (scheme.toLowerCase() !== 'bearer' || realm === null || realm.protocol !== `${schemeOf(realm.host)}:`) {
      return problem('UNREACHABLE', `${name}: ${registry} asks for a kind of login that is not known`);
    }
    if (fields['service'] !== undefined) realm.searchParams.set('service', fields['service']);
    realm.searchParams.set('scope', fields['scope'] ?? `repository:${repository}:pull`);
    const headers: Record<string, string> = basic === null ? {} : { authorization: `Basic ${basic}` };
    const answer = await this.#ports.wires.get(realm.href, { maxBytes: MAX_TOKEN_BYTES, headers }, this.#signal);
    const token = answer.status === 200 ? tokenIn(answer.bytes) : null;
    if (token !== null) return ok(`Bearer ${token}`);
    return problem('UNREACHABLE', `${name}: ${realm.host} gives no token for ${registry} (${answer.status})`);
  }
}

/** Without TLS on this machine only. */
function schemeOf(host: string): 'http' | 'https' {
  return /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?$/.test(host) ? 'http' : 'https';
}

function tokenIn(bytes: Uint8Array): string | null {
  try {
    const { token, access_token: other } = JSON.parse(Buffer.from(bytes).toString('utf8')) as Readonly<Record<string, unknown>>;
    const found = token ?? other;
    return typeof found === 'string' && found !== '' ? found : null;
  } catch {
    return null;
  }
}

/** Passwords of registries as `docker login` writes them, from the variable DOCKER_AUTH_CONFIG. */
export function registryAuthIn(env: Readonly<Record<string, string | undefined>>): (registry: string) => string | null {
  return (registry) => {
    try {
      const { auths } = JSON.parse(env['DOCKER_AUTH_CONFIG'] ?? '{}') as { readonly auths?: Readonly<Record<string, unknown>> };
      const { auth } = (auths?.[registry] ?? auths?.[`https://${registry}`] ?? {}) as { readonly auth?: unknown };
      return typeof auth === 'string' ? auth : null;
    } catch {
      return null;
    }
  };
}
