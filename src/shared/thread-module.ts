/**
 * The URL of a thread's module, beside the calling one or in a folder below it, named without its ending: `.ts` where Node runs the
 * sources, `.js` in the built package.
 */
export function threadModule(moduleUrl: string, name: string): URL {
  const extension = moduleUrl.slice(moduleUrl.lastIndexOf('.'));
  return new URL(`./${name}${extension}`, moduleUrl);
}
