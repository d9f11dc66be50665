import { createHash } from 'node:crypto';
import { unlessAborted } from '#kit/aborted.ts';
import { SECOND_MS } from '#kit/duration.ts';
import { ok, type Result } from '#kit/result.ts';
import type { ConnectionDeclaration, Content, FleetDeclaration } from '#model/declared.ts';
import type { ArtifactProblem, Artifacts } from '#ports/artifacts.ts';
import type { Clock } from '#ports/clock.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { WireError } from '#ports/wire-error.ts';
import type { Wires } from '#ports/wires.ts';
import { makeArtifactCache, type ArtifactCache } from './cache.ts';
import { fetchVerified, type FetchPorts } from './fetch.ts';
import { problem } from './problem.ts';
import type { ArtifactHost } from './serve.ts';
import { makeShared } from './shared.ts';

export interface ArtifactsOptions {
  readonly wires: Wires;
  connection(name: string): ConnectionDeclaration | undefined;
  readonly mode: FleetDeclaration['artifacts'];
  /** Null keeps artifacts in memory only. */
  readonly cacheDir: string | null;
  /** In the place of a cache of its own below `cacheDir`: shared, so that each digest is held once. */
  readonly cache?: ArtifactCache;
  readonly clock: Clock;
  /** Where `urls: serve` offers them; null when no server of our own runs. */
  readonly serve?: ArtifactHost | null;
  /** `user:password` in base64 for a registry of images; null where everybody may pull. */
  registryAuth?(registry: string): string | null;
}

interface Stage extends FetchPorts {
  readonly mode: FleetDeclaration['artifacts'];
  readonly serve: ArtifactHost | null;
  bytes(content: Content, signal?: AbortSignal): Promise<Result<Uint8Array, ArtifactProblem>>;
  /** ETags of objects that we uploaded: a store that encrypts does not use the MD5. */
  readonly uploaded: Map<string, string>;
  readonly uploads: ReturnType<typeof makeShared<Result<true, ArtifactProblem>>>;
}

/**
 * The artifacts stage: nothing leaves it that does not have the declared SHA-256 and size. Each digest is fetched, and
 * each object uploaded, once at a time, however many ask.
 */
export function makeArtifacts(options: ArtifactsOptions): Artifacts {
  const cache = options.cache ?? makeArtifactCache(options.cacheDir);
  const fetches = makeShared<Result<Uint8Array, ArtifactProblem>>();
  const opened = new Map<string, Promise<ObjectStore>>();
  const stage: Stage = {
    wires: options.wires,
    ...(options.registryAuth === undefined ? {} : { registryAuth: (registry) => options.registryAuth?.(registry) ?? null }),
    mode: options.mode,
    serve: options.serve ?? null,
    uploaded: new Map(),
    uploads: makeShared(),
    objects: (name) => openObjects(name, options, opened),
    bytes: (content, signal) =>
      // Size and digest together: a wrong size in one declaration must not be answered from the cache of another.
      fetches(
        `${content.digest}/${content.size ?? ''}`,
        async (shared) => {
          const held = await cache.get(content.digest);
          if (held !== undefined && (content.size ?? held.length) === held.length) return ok(held);
          const fetched = await fetchVerified(content, stage, shared);
          if (fetched.ok) await cache.put(content.digest, fetched.value);
          return fetched;
        },
        signal,
      ),
  };
  return {
    bytes: (content, signal) => stage.bytes(content, signal),
    urlFor: (content, request, signal) => urlFor(stage, { content, ...request }, signal),
    urlOnce(secret, { name, device, expiresMs }) {
      if (stage.mode.urls === 'serve' && stage.serve !== null) return ok(stage.serve.offerOnce({ name, secret }, device, expiresMs));
      return problem('NO_URL', `${name}: a private key is served for one download only, by our own host: it needs artifacts.urls: serve`);
    },
    async close() {
      for (const store of opened.values()) {
        await store.then(
          (one) => one.close(),
          () => undefined,
        );
      }
    },
  };
}

interface UrlRequest {
  readonly content: Content;
  readonly device: string;
  readonly expiresMs: number;
}

async function urlFor(stage: Stage, request: UrlRequest, signal?: AbortSignal): Promise<Result<string, ArtifactProblem>> {
  const { content, device, expiresMs } = request;
  const bytes = await stage.bytes(content, signal);
  if (!bytes.ok) return bytes;
  switch (stage.mode.urls) {
    case 'direct':
      if (content.kind === 'url') return ok(content.url);
      return problem('NO_URL', `${content.name}: it has no URL of its own; artifacts.urls must be presigned or serve`);
    case 'serve':
      if (stage.serve === null) return problem('NO_URL', `${content.name}: artifacts.urls is serve, and no artifact server runs here`);
      return ok(stage.serve.offer({ name: lastSegment(content.name), digest: content.digest, bytes: bytes.value }, device, expiresMs));
    case 'presigned':
      return presigned(stage, { ...request, bytes: bytes.value }, signal);
    default:
      return stage.mode.urls satisfies never;
  }
}

async function presigned(
  stage: Stage,
  request: UrlRequest & { readonly bytes: Uint8Array },
  signal?: AbortSignal,
): Promise<Result<string, ArtifactProblem>> {
  const { content, bytes, expiresMs } = request;
  if (stage.mode.via === null) return problem('NO_URL', `${content.name}: artifacts.via names no connection to presign from`);
  const store = await unlessAborted(stage.objects(stage.mode.via), signal);
  if (!store.ok) return store;
  const key = `artifacts/${content.digest}/${lastSegment(content.name)}`;
  const there = await stage.uploads(key, (shared) => upload(stage, { store: store.value, key, bytes }, shared), signal);
  if (!there.ok) return there;
  return onWire(content.name, async () => ok(await store.value.presign(key, Math.ceil(expiresMs / SECOND_MS))));
}

/** Puts the verified bytes there unless they are: a key that holds anything else is overwritten. */
async function upload(
  stage: Stage,
  object: { readonly store: ObjectStore; readonly key: string; readonly bytes: Uint8Array },
  signal: AbortSignal,
): Promise<Result<true, ArtifactProblem>> {
  const { store, key, bytes } = object;
  return onWire(key, async () => {
    const present = await store.head(key, signal);
    const expected = stage.uploaded.get(key) ?? createHash('md5').update(bytes).digest('hex');
    if (present !== 'missing' && present.etag === expected && present.size === bytes.length) return ok(true as const);
    const written = await store.put(key, bytes, { contentType: 'application/octet-stream' }, signal);
    if (written === 'conflict') return problem('UNREACHABLE', `${key}: another writer was faster`);
    stage.uploaded.set(key, written.etag);
    return ok(true as const);
  });
}

async function onWire<T>(name: string, act: () => Promise<Result<T, ArtifactProblem>>): Promise<Result<T, ArtifactProblem>> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof WireError) return problem('UNREACHABLE', `${name}: ${error.message}`);
    throw error;
  }
}

/** One store per connection; one that could not be opened is tried again by the next who asks. */
async function openObjects(
  name: string,
  options: ArtifactsOptions,
  opened: Map<string, Promise<ObjectStore>>,
): Promise<Result<ObjectStore, ArtifactProblem>> {
  const connection = options.connection(name);
  if (connection === undefined || connection.type !== 's3') return problem('UNREACHABLE', `no s3 connection is declared as ${name}`);
  return onWire(name, async () => {
    const opening = opened.get(name) ?? options.wires.objects(connection);
    opened.set(name, opening);
    try {
      return ok(await opening);
    } catch (error) {
      opened.delete(name);
      throw error;
    }
  });
}

/** What a device will call the file. */
function lastSegment(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}
