/** The source of a module with each name it takes from an index.ts taken from the file that declares it; no line moves. */
export function withDirectImports(code: string, file: string): string;
