import type { Declared } from '#model/declared.ts';
import { startArtifactHost } from '#artifacts/serve.ts';
import type { ArtifactHost } from '#artifacts/serve.ts';
import type { Clock } from '#ports/clock.ts';
import { WireError } from '#ports/wire-error.ts';
import type { WorldOptions } from './options.ts';

/** Where our own artifact server listens when nothing else is said. */
const ARTIFACTS_PORT = 8470;

/** `artifacts: { urls: serve }`: listens on 127.0.0.1 unless HEADGATE_ARTIFACTS_HOST says otherwise. */
export async function openArtifactHost(options: WorldOptions, declared: Declared, clock: Clock): Promise<ArtifactHost | null> {
  const { urls, publicUrl } = declared.fleet.artifacts;
  if (urls !== 'serve') return null;
  if (options.artifactHost !== undefined) return options.artifactHost;
  const port = Number(options.env['HEADGATE_ARTIFACTS_PORT'] ?? ARTIFACTS_PORT);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new WireError('BAD_ENV', 'never', 'HEADGATE_ARTIFACTS_PORT is not a port');
  return startArtifactHost({ publicUrl, clock, port, host: options.env['HEADGATE_ARTIFACTS_HOST'] ?? '127.0.0.1' });
}
