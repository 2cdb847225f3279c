/** Whether everything that a build makes is there, and is what it would make again. */
export function isBuilt(root: string): boolean;
/** To be called when everything has been made. */
export function recordBuild(root: string): void;
/** Makes the results of a build newer than its sources, for whoever goes by that. */
export function touchBuild(root: string): void;
