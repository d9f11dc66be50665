import { runBench, type BenchAction, type BenchParts } from '#adapters/campbell/driver-bench.ts';
import { startArtifactHost } from '#artifacts/serve.ts';
import type { ArtifactHost } from '#artifacts/serve.ts';
import { sha256 } from '#kit/digest.ts';
import { HOUR_MS } from '#kit/duration.ts';
import type { ConnectionDeclaration } from '#model/declared.ts';
import { systemClock } from '#transports/clock.ts';
import { makeNetworkWires } from '#transports/wires.ts';
import { typed } from './connections.ts';
import type { WorldOptions } from './options.ts';

/** How long a logger may fetch what is put on it by hand: longer than any download of a program. */
const BENCH_URL_MS = HOUR_MS;

export interface BenchRequest extends Omit<BenchParts, 'bus' | 'clock' | 'offer'> {
  readonly connection: ConnectionDeclaration;
  /** Where the logger fetches what is put on it. */
  readonly serve: { readonly host: string; readonly port: number; readonly publicUrl: string | null };
}

/** One action on one Campbell logger, over a session of its own that disturbs none of the engine's. Throws WireError. */
export async function benchLogger(
  options: Pick<WorldOptions, 'env' | 'clock' | 'wires'>,
  action: BenchAction,
  request: BenchRequest,
): Promise<boolean> {
  const { connection, serve, signal } = request;
  const clock = options.clock ?? systemClock;
  const wires = options.wires ?? makeNetworkWires({ clock, env: options.env });
  const declaration = typed(connection, connection.name, 'mqtt');
  const bus = await wires.bus({ ...declaration, clientId: `headgate-bench-${process.pid}` }, { role: 'reader' }, signal);
  let host: ArtifactHost | null = null;
  try {
    return await runBench(action, {
      ...request,
      bus,
      clock,
      offer: async (name, bytes) => {
        host ??= await startArtifactHost({ ...serve, clock });
        return host.offer({ name, digest: sha256(bytes), bytes }, request.address, BENCH_URL_MS);
      },
    });
  } finally {
    await bus.close();
    await (host as ArtifactHost | null)?.close();
  }
}
