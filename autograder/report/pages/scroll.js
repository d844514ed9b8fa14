// What scrolls sideways can be reached with the keyboard; what does not is no stop on the way.
const scrollers = () => {
  for (const place of document.querySelectorAll(".scroll, pre")) {
    if (place.scrollWidth > place.clientWidth) place.tabIndex = 0;
    else place.removeAttribute("tabindex");
  }
};
addEventListener("resize", scrollers);
scrollers();
