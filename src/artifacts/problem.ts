import { err } from '#kit/result.ts';
import type { ArtifactProblem } from '#ports/artifacts.ts';

export function problem(code: ArtifactProblem['code'], message: string): { readonly ok: false; readonly error: ArtifactProblem } {
  return err({ code, message });
}
