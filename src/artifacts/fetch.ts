import { unlessAborted } from '#kit/aborted.ts';
import { sha256 } from '#kit/digest.ts';
import { ok, type Result } from '#kit/result.ts';
import type { Content } from '#model/declared.ts';
import type { ArtifactProblem } from '#ports/artifacts.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import { WireError } from '#ports/wire-error.ts';
import type { Wires } from '#ports/wires.ts';
import { fetchOci, type OciPorts } from './oci.ts';
import { problem } from './problem.ts';

/** Above any firmware of the families; what is larger is a mistake or an attack. */
const MAX_ARTIFACT_BYTES = 256 * 1024 * 1024;

export interface FetchPorts extends OciPorts {
  readonly wires: Wires;
  objects(connection: string): Promise<Result<ObjectStore, ArtifactProblem>>;
}

/** The bytes from where they are declared to be, of the declared size and digest, or why not. */
export async function fetchVerified(
  content: Content,
  ports: FetchPorts,
  signal?: AbortSignal,
): Promise<Result<Uint8Array, ArtifactProblem>> {
  if (content.size !== null && content.size > MAX_ARTIFACT_BYTES) {
    return problem('TOO_LARGE', `${content.name}: ${content.size} bytes are declared, ${MAX_ARTIFACT_BYTES} are the most`);
  }
  try {
    const got = await fetchBytes(content, ports, signal);
    return got.ok ? verified(content, got.value) : got;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    if (error.code !== 'TOO_LARGE') return problem('UNREACHABLE', `${content.name}: ${error.message}`);
    if (content.size === null) return problem('TOO_LARGE', `${content.name}: more than ${MAX_ARTIFACT_BYTES} bytes`);
    return problem('UNVERIFIED', `${content.name}: there are more bytes than the declared ${content.size}`);
  }
}

async function fetchBytes(content: Content, ports: FetchPorts, signal?: AbortSignal): Promise<Result<Uint8Array, ArtifactProblem>> {
  const maxBytes = content.size ?? MAX_ARTIFACT_BYTES;
  switch (content.kind) {
    case 'bytes':
      return ok(content.bytes);
    case 'url': {
      const answer = await ports.wires.get(content.url, { maxBytes }, signal);
      if (answer.status === 200) return ok(answer.bytes);
      const gone = answer.status === 404 || answer.status === 410;
      return problem(gone ? 'MISSING' : 'UNREACHABLE', `${content.name}: ${hostOf(content.url)} answered ${answer.status}`);
    }
    case 'object': {
      const store = await unlessAborted(ports.objects(content.connection), signal);
      if (!store.ok) return store;
      const object = await store.value.get(content.key, { maxBytes }, signal);
      if (typeof object !== 'string') return ok(object.bytes);
      return problem('MISSING', `${content.name}: there is no object ${content.key} at ${content.connection}`);
    }
    case 'oci':
      return fetchOci(content, ports, { maxBytes, ...(signal === undefined ? {} : { signal }) });
    default:
      return content satisfies never;
  }
}

function verified(content: Content, bytes: Uint8Array): Result<Uint8Array, ArtifactProblem> {
  if (content.size !== null && bytes.length !== content.size) {
    return problem('UNVERIFIED', `${content.name}: ${bytes.length} bytes came, ${content.size} are declared`);
  }
  const actual = sha256(bytes);
  if (actual === content.digest) return ok(bytes);
  return problem('UNVERIFIED', `${content.name}: the bytes have SHA-256 ${actual}, declared is ${content.digest}`);
}

/** A URL may carry a token; its host does not. */
function hostOf(url: string): string {
  return URL.parse(url)?.host ?? 'the URL';
}
