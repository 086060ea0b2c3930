// Figures as people read them. What is not known is a dash, never a zero.

export const UNKNOWN = "–";

export function dollars(amount) {
  if (amount === null || amount === undefined) return UNKNOWN;
  const size = Math.abs(amount);
  if (size === 0) return "$0";
  if (size >= 1000) return `$${Math.round(amount).toLocaleString("en-US")}`;
  return `$${amount.toFixed(size >= 1 ? 2 : size >= 0.01 ? 3 : size >= 0.0001 ? 5 : 7)}`;
}

export function count(number) {
  if (number === null || number === undefined) return UNKNOWN;
  if (number < 10000) return Math.round(number).toLocaleString("en-US");
  const [size, unit] = number < 1e6 ? [1e3, "k"] : number < 1e9 ? [1e6, "M"] : [1e9, "G"];
  return `${(number / size).toFixed(number / size < 100 ? 1 : 0)} ${unit}`;
}

export function seconds(time) {
  if (time === null || time === undefined) return UNKNOWN;
  if (time < 1) return `${Math.round(time * 1000)} ms`;
  if (time < 100) return `${time.toFixed(time < 10 ? 2 : 1)} s`;
  return duration(time);
}

export function duration(time) {
  const whole = Math.max(0, Math.round(time));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export function percent(share) {
  if (share === null || share === undefined) return UNKNOWN;
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

export function clock(at) {
  return new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

export function moment(at, span) {
  const day = { month: "short", day: "numeric" };
  const time = { hour: "2-digit", minute: "2-digit" };
  const shown = span <= 86400 ? time : span <= 8 * 86400 ? { ...day, ...time } : day;
  return new Date(at * 1000).toLocaleString([], shown);
}

export function words(name) {
  return String(name).replaceAll("_", " ");
}
