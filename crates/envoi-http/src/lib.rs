//! The exchange level of envoi: encode, auth, compress, policies, and the hyper client at the core.
