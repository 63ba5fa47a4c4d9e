/**
 * The URL of a module beside the calling one, for starting a worker thread: `.ts` where Node runs the
 * sources, `.js` in the built package.
 */
export function siblingModule(moduleUrl: string, name: string): URL {
  const extension = moduleUrl.slice(moduleUrl.lastIndexOf('.'));
  return new URL(`./${name}${extension}`, moduleUrl);
}
