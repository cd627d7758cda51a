/** A module of ours around a CommonJS package: in the release, a dynamic import of the package itself would have no named exports. */
export { parse } from 'yaml'
