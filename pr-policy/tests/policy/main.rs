//! The policy from outside: transactions run to their end in a world of scripted paths.

#[cfg(test)]
mod arrays;
#[cfg(test)]
mod cut_off;
#[cfg(test)]
mod dead_holder;
#[cfg(test)]
mod graph;
#[cfg(test)]
mod growing;
#[cfg(test)]
mod looks;
#[cfg(test)]
mod moving;
#[cfg(test)]
mod narrate;
mod old_news;
#[cfg(test)]
mod path_return;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod remnants;
#[cfg(test)]
mod returns;
#[cfg(test)]
mod states;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod world;
