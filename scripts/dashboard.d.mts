/** Types of dashboard.mjs, which says what each is for. */
export const DASHBOARD_DIR: string;
export function dashboardState(): 'none' | 'built' | 'outdated' | 'missing';
export function canBuildDashboard(): boolean;
export function buildDashboard(folder?: string): Promise<void>;
