import type { TestProject } from 'vitest/node';
import { startRadosgw } from '#test/support/radosgw.ts';
import type { SigningCredentials } from '#kit/sigv4.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** One for all test files: it takes 12 s and most of a core to start. Each test makes buckets of its own. */
    readonly radosgw: { readonly url: string; readonly credentials: SigningCredentials };
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { url, credentials, stop } = await startRadosgw();
  project.provide('radosgw', { url, credentials });
  return stop;
}
