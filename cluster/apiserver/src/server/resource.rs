//! Requests for objects: each verb of a place.

use bytes::Bytes;
use hyper::{HeaderMap, header::USER_AGENT};
use objects::{Kind, Reason, Status, meta};
use serde_json::{Value, json};

use super::{
    answer::{self, Answer},
    body::{self, media},
    limits::OpenStreams,
    negotiation::{self, Form},
    parameters::Parameters,
    path::Place,
    shape::{Include, Shape},
    watching::Watching,
};
use crate::{
    Api, DeleteOptions, Object, Part, Patch, WriteOptions,
    metadata::{bad, set},
    page::NoPage,
    patch::unknown_type,
    scale,
};

/// A request whose body was read.
pub(crate) struct Call<'a> {
    pub(crate) api: Api,
    pub(crate) method: &'a str,
    pub(crate) place: &'a Place,
    pub(crate) parameters: &'a Parameters,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) streams: &'a OpenStreams,
}

pub(crate) fn not_allowed() -> Status {
    Status::new(
        Reason::MethodNotAllowed,
        "the server does not allow this method on the requested resource",
    )
}

impl Call<'_> {
    pub(crate) fn answer(self) -> Result<Answer, Status> {
        let place = self.place;
        let kind = place.kind;
        if let Some(sub) = place.sub {
            if !sub.verbs.contains(&self.verb()) {
                return Err(not_allowed());
            }
            return self.sub(sub.name);
        }
        if !kind.stored && (self.method, &place.name) != ("POST", &None) {
            return Err(not_allowed());
        }
        match (self.method, &place.name) {
            ("GET", None) if self.parameters.flag("watch") => self.watch(None),
            ("GET", None) => self.list(),
            ("GET", Some(name)) if self.parameters.flag("watch") => self.watch(Some(name)),
            ("GET", Some(name)) => self.get(name),
            ("POST", None) => self.create(),
            ("PUT", Some(name)) => self.update(name, Part::Main),
            ("PATCH", Some(name)) => self.patch(name, Part::Main),
            ("DELETE", Some(name)) => self.delete(name),
            ("DELETE", None) if kind.kind != "Namespace" => self.delete_all(),
            _ => Err(not_allowed()),
        }
    }

    fn verb(&self) -> &'static str {
        match self.method {
            "GET" => "get",
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            _ => "delete",
        }
    }

    fn sub(self, sub: &str) -> Result<Answer, Status> {
        let name = self.place.name.clone().unwrap_or_default();
        let part = match sub {
            "status" => Part::Status,
            "finalize" => Part::Finalize,
            "scale" => Part::Scale,
            "binding" => return self.bind(&name),
            "eviction" => return self.evict(&name),
            "token" => return self.token(&name),
            _ => return Err(not_allowed()),
        };
        match self.method {
            "GET" if part == Part::Scale => {
                let object = self.api.get(self.place.kind, self.place.namespace(), &name)?;
                Ok(answer::json(200, &scale::of(self.place.kind, &object)))
            }
            "GET" => self.get(&name),
            "PUT" => self.update(&name, part),
            _ => self.patch(&name, part),
        }
    }

    fn accept(&self) -> String {
        let all = self.headers.get_all(hyper::header::ACCEPT).iter();
        let all: Vec<&str> = all.filter_map(|value| value.to_str().ok()).collect();
        all.join(",")
    }

    fn shape(&self, list: bool, kind: &'static Kind) -> Result<Shape, Status> {
        Ok(Shape {
            kind,
            form: negotiation::form(&self.accept(), kind, list, true)?,
            include: Include::named(self.parameters.text("includeObject"))?,
        })
    }

    /// The answer to a write: the object, in the form that is asked for. A Scale has one form only.
    fn written(&self, code: u16, object: &Object, part: Part, warnings: &[String]) -> Result<Answer, Status> {
        let mut answer = match part {
            Part::Scale => answer::json(code, object),
            _ => self.shape(false, self.place.kind)?.answer(code, object),
        };
        answer::warn(&mut answer, warnings);
        Ok(answer)
    }

    fn options(&self) -> Result<WriteOptions, Status> {
        let agent = self
            .headers
            .get(USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        Ok(WriteOptions {
            dry_run: self.parameters.dry_run()?,
            manager: Some(self.parameters.manager(agent)),
        })
    }

    fn get(&self, name: &str) -> Result<Answer, Status> {
        let shape = self.shape(false, self.place.kind)?;
        let stored = self.api.get_stored(self.place.kind, self.place.namespace(), name)?;
        Ok(match shape.form {
            Form::Whole => answer::bytes(200, answer::JSON, stored.text.clone()),
            _ => shape.answer(200, &stored.value()),
        })
    }

    fn list(&self) -> Result<Answer, Status> {
        let shape = self.shape(true, self.place.kind)?;
        let query = self.parameters.list(self.place.kind)?;
        match self
            .api
            .list_stored(self.place.kind, self.place.namespace.as_deref(), &query)
        {
            Ok(page) => Ok(shape.list(page)),
            Err(NoPage {
                status,
                inconsistent: Some(token),
            }) => {
                let mut object = status.object();
                object["metadata"]["continue"] = token.into();
                Ok(answer::json(status.reason.code(), &object))
            }
            Err(NoPage { status, .. }) => Err(status),
        }
    }

    fn watch(&self, name: Option<&str>) -> Result<Answer, Status> {
        let kind = self.place.kind;
        // The objects of a watch are single ones, though clients ask with the forms of the list.
        let shape = self.shape(false, kind).or_else(|_| self.shape(true, kind))?;
        let mut query = self.parameters.watch(kind)?;
        if let Some(name) = name {
            query.list.fields = objects::selector::Fields::parse(kind, &format!("metadata.name={name}"))
                .map_err(|error| bad(error.to_string()))?;
        }
        let open = self.streams.open(&self.api.user().name)?;
        let watch = self.api.watch(kind, self.place.namespace.as_deref(), &query)?;
        let bookmarks = self.parameters.flag("allowWatchBookmarks");
        Ok(Watching::new(watch, shape, bookmarks, self.parameters.timeout()?, open).answer())
    }

    fn create(&self) -> Result<Answer, Status> {
        let kind = self.place.kind;
        let shape = self.shape(false, kind)?;
        let mode = self.parameters.field_validation()?;
        let decoded = body::object(kind, self.headers, &self.body, mode)?;
        if kind.namespaced && self.place.namespace.is_none() {
            return Err(not_allowed());
        }
        let options = self.options()?;
        let object = self
            .api
            .create_with(kind, self.place.namespace(), decoded.object, &options)?;
        let mut answer = shape.answer(201, &object);
        answer::warn(&mut answer, &decoded.warnings);
        Ok(answer)
    }

    fn update(&self, name: &str, part: Part) -> Result<Answer, Status> {
        let kind = self.place.kind;
        let mode = self.parameters.field_validation()?;
        let mut decoded = match part {
            Part::Scale => body::message("autoscaling/v1", "Scale", self.headers, &self.body, mode)?,
            _ => body::object(kind, self.headers, &self.body, mode)?,
        };
        named(&mut decoded.object, name)?;
        let existed = self.api.get_stored(kind, self.place.namespace(), name).is_ok();
        let object = self
            .api
            .update_with(kind, self.place.namespace(), decoded.object, part, &self.options()?)?;
        self.written(if existed { 200 } else { 201 }, &object, part, &decoded.warnings)
    }

    fn patch(&self, name: &str, part: Part) -> Result<Answer, Status> {
        let json = || -> Result<Value, Status> {
            serde_json::from_slice(&self.body).map_err(|error| bad(format!("error decoding patch: {error}")))
        };
        let patch = match media(self.headers) {
            "application/merge-patch+json" => Patch::Merge(json()?),
            "application/strategic-merge-patch+json" => Patch::Strategic(json()?),
            "application/json-patch+json" => Patch::Json(json()?),
            "application/apply-patch+yaml" => Patch::Apply {
                object: body::yaml(&self.body)?,
                manager: self.applier()?,
                force: self.parameters.flag("force"),
            },
            _ => {
                return Err(unknown_type(
                    "application/json-patch+json, application/merge-patch+json, \
                     application/strategic-merge-patch+json, application/apply-patch+yaml",
                ));
            }
        };
        let mode = self.parameters.field_validation()?;
        let (kind, namespace, options) = (self.place.kind, self.place.namespace(), self.options()?);
        let patched = self
            .api
            .patch_with(kind, namespace, name, &patch, part, mode, &options)?;
        self.written(
            if patched.created { 201 } else { 200 },
            &patched.object,
            part,
            &patched.warnings,
        )
    }

    fn applier(&self) -> Result<String, Status> {
        match self.parameters.text("fieldManager") {
            "" => Err(Status::new(
                Reason::Invalid,
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            )),
            name => Ok(name.to_owned()),
        }
    }

    fn delete_options(&self) -> Result<DeleteOptions, Status> {
        let mut options = body::optional("v1", "DeleteOptions", self.headers, &self.body)?;
        if let (Some(all), Value::Object(more)) = (options.as_object_mut(), self.parameters.delete_options()?) {
            for (key, value) in more {
                all.entry(key).or_insert(value);
            }
        }
        DeleteOptions::read(&options)
    }

    fn delete(&self, name: &str) -> Result<Answer, Status> {
        let kind = self.place.kind;
        let options = self.delete_options()?;
        let deleted = self.api.delete_with(kind, self.place.namespace(), name, &options)?;
        let told = matches!(kind.kind, "Pod" | "ServiceAccount" | "ResourceQuota");
        if deleted.left.is_some() || told {
            return Ok(self.shape(false, kind)?.answer(200, &deleted.last));
        }
        let mut details = json!({"name": name, "kind": kind.plural, "uid": meta::uid(&deleted.last)});
        if !kind.group.is_empty() {
            details["group"] = kind.group.into();
        }
        let done =
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
        Ok(answer::json(200, &done))
    }

    fn delete_all(&self) -> Result<Answer, Status> {
        let kind = self.place.kind;
        let shape = self.shape(true, kind)?;
        if kind.namespaced && self.place.namespace.is_none() {
            return Err(not_allowed());
        }
        let options = self.delete_options()?;
        let query = self.parameters.list(kind)?;
        let namespace = self.place.namespace.as_deref();
        let page = self
            .api
            .list_stored(kind, namespace, &query)
            .map_err(|none| none.status)?;
        for stored in &page.items {
            let object = stored.value();
            match self
                .api
                .delete(kind, meta::namespace(&object), meta::name(&object), &options)
            {
                // Somebody else was faster.
                Err(status) if status.reason == Reason::NotFound => {}
                deleted => drop(deleted?),
            }
        }
        Ok(shape.list(page))
    }

    fn bind(&self, name: &str) -> Result<Answer, Status> {
        let mut binding = body::optional("v1", "Binding", self.headers, &self.body)?;
        named(&mut binding, name)?;
        let done = self
            .api
            .bind_object(self.place.namespace(), &binding, &self.options()?)?;
        Ok(answer::json(201, &done))
    }

    fn evict(&self, name: &str) -> Result<Answer, Status> {
        // Some clients send the options in another spelling; what is not known is left out.
        let mut eviction = body::optional("policy/v1", "Eviction", self.headers, &self.body)?;
        named(&mut eviction, name)?;
        let mut options = DeleteOptions::read(meta::at(&eviction, &["deleteOptions"]).unwrap_or(&Value::Null))?;
        options.dry_run |= self.parameters.dry_run()?;
        self.api.evict(self.place.namespace(), name, &options)?;
        let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
        Ok(answer::json(201, &done))
    }

    fn token(&self, name: &str) -> Result<Answer, Status> {
        let request = body::optional("authentication.k8s.io/v1", "TokenRequest", self.headers, &self.body)?;
        let answered = self.api.token(self.place.namespace(), name, request)?;
        Ok(answer::json(201, &answered))
    }
}

/// An object that was sent to a name has that name, or none.
fn named(object: &mut Value, name: &str) -> Result<(), Status> {
    match meta::name(object) {
        "" => set(object, "name", name),
        said if said == name => {}
        said => {
            return Err(bad(format!(
                "the name of the object ({said}) does not match the name on the URL ({name})"
            )));
        }
    }
    Ok(())
}
