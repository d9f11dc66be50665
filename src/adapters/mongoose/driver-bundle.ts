import type { DriverPorts, PerformContext } from '#ports/driver.ts';
import { refused, type Stop } from '#shadows/driver-write.ts';
import { manifestOf } from './expectation.ts';
import type { OperationFacts } from './operations.ts';
import { firmwareText } from './wire.ts';

interface BundleAct {
  readonly ports: DriverPorts;
  readonly context: PerformContext;
  readonly operation: { readonly declared: string };
  readonly facts: OperationFacts;
}

/**
 * What is wrong with the bytes right before they go out, null for nothing. Those that lie in the repo were looked at when it
 * was declared; others are seen here for the first time.
 */
export async function wrongBundle({ ports, context, operation, facts }: BundleAct): Promise<Stop | null> {
  if (context.content === null) return refused('ARTIFACT_UNVERIFIED', 'the operation carries no content');
  const found = await ports.artifacts.bytes(context.content, context.signal);
  if (!found.ok) {
    const { code, message } = found.error;
    if (code === 'UNREACHABLE') return { kind: 'trouble', code: 'ARTIFACT_UNREACHABLE', evidence: message, retry: 'later' };
    return refused('ARTIFACT_UNVERIFIED', message);
  }
  const manifest = manifestOf(found.value);
  if (!manifest.ok) return refused('ARTIFACT_UNVERIFIED', `${context.content.name}: ${manifest.error.text}`);
  const { platform } = manifest.value;
  if (platform.toLowerCase() !== facts.platform.toLowerCase())
    return refused('INCOMPATIBLE', `WRONG_PLATFORM: ${context.content.name} is for ${platform}, and the board takes ${facts.platform}`);
  const name = firmwareText(manifest.value);
  return name === operation.declared
    ? null
    : refused('ARTIFACT_UNVERIFIED', `${context.content.name} is ${name}, not ${operation.declared}`);
}
