// Sets the stored colour scheme before the first paint, so that the page does not flash. `auto` follows the system.
{
  let theme = "auto";
  try {
    theme = localStorage.getItem("theme") || "auto";
  } catch {
    // Storage may be forbidden.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
