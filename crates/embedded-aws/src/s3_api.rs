//! The S3 operations, each as: look, decide, answer. Signature, region and the deny list are behind us here.
//!
//! What is not here answers 501 `NotImplemented`; there are no versions, no parts and no access control lists.

use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use http_body_util::BodyExt as _;
use s3s::dto::{
    Bucket, BucketLocationConstraint, ChecksumMode, CopyObjectInput, CopyObjectOutput,
    CopyObjectResult, CopySource, CreateBucketInput, CreateBucketOutput, DeleteObjectInput,
    DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, Error,
    GetBucketLocationInput, GetBucketLocationOutput, GetBucketVersioningInput,
    GetBucketVersioningOutput, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput,
    HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListObjectsInput,
    ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, MetadataDirective, PutObjectInput,
    PutObjectOutput, Timestamp,
};
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};

use crate::access::IdentityTable;
use crate::store::{ObjectStore, no_such_bucket};
use crate::{checksums, conditions, list_outputs, object_outputs, policies};

/// The region whose buckets have no location constraint.
const CLASSIC: &str = "us-east-1";

pub(crate) struct S3Api {
    pub(crate) store: Arc<ObjectStore>,
    pub(crate) identities: IdentityTable,
}

#[async_trait::async_trait]
impl S3 for S3Api {
    async fn list_buckets(
        &self,
        _: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let describe = |(name, region, created)| Bucket {
            name: Some(name),
            bucket_region: Some(region),
            creation_date: Some(Timestamp::from(created)),
        };
        let buckets = self.store.buckets().into_iter().map(describe).collect();
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(buckets),
            ..Default::default()
        }))
    }

    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let configuration = request.input.create_bucket_configuration;
        let constraint = configuration.and_then(|configuration| configuration.location_constraint);
        let region = constraint
            .as_ref()
            .map_or(CLASSIC, BucketLocationConstraint::as_str);
        self.store.create_bucket(&request.input.bucket, region)?;
        let location = Some(format!("/{}", request.input.bucket));
        Ok(S3Response::new(CreateBucketOutput { location }))
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        let region = self
            .store
            .region(&request.input.bucket)
            .ok_or_else(no_such_bucket)?;
        Ok(S3Response::new(HeadBucketOutput {
            bucket_region: Some(region),
            ..Default::default()
        }))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let region = self
            .store
            .region(&request.input.bucket)
            .ok_or_else(no_such_bucket)?;
        let location_constraint =
            (region != CLASSIC).then(|| BucketLocationConstraint::from(region));
        Ok(S3Response::new(GetBucketLocationOutput {
            location_constraint,
        }))
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        self.store
            .region(&request.input.bucket)
            .ok_or_else(no_such_bucket)?;
        Ok(S3Response::new(GetBucketVersioningOutput::default()))
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let bucket = request.input.bucket.clone();
        self.store
            .list(&bucket, |objects| {
                list_outputs::list_objects_v1(objects, request.input)
            })?
            .map(S3Response::new)
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let bucket = request.input.bucket.clone();
        self.store
            .list(&bucket, |objects| {
                list_outputs::list_objects_v2(objects, request.input)
            })?
            .map(S3Response::new)
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let identity = self
            .identities
            .identity_of_signer(request.credentials.as_ref())?;
        let input = request.input;
        let head = self.store.head(&input.bucket, &input.key)?.ok_or_else(|| {
            self.identities
                .missing_key_error(identity, &input.bucket, &input.key)
        })?;
        let conditions = conditions::ReadConditions {
            matching: input.if_match,
            not_matching: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        };
        conditions.check(&head)?;
        Ok(S3Response::new(object_outputs::head_output(
            head,
            is_checksum_mode_enabled(input.checksum_mode.as_ref()),
        )))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let identity = self
            .identities
            .identity_of_signer(request.credentials.as_ref())?;
        let input = request.input;
        let (head, body) = self.store.get(&input.bucket, &input.key)?.ok_or_else(|| {
            self.identities
                .missing_key_error(identity, &input.bucket, &input.key)
        })?;
        let conditions = conditions::ReadConditions {
            matching: input.if_match,
            not_matching: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        };
        conditions.check(&head)?;
        object_outputs::get_output(
            head,
            body,
            input.range,
            is_checksum_mode_enabled(input.checksum_mode.as_ref()),
        )
        .map(S3Response::new)
    }

    async fn put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let body = match request.input.body.take() {
            // Reading the body also verifies its signed digest and yields the trailer.
            Some(body) => Body::from(body)
                .collect()
                .await
                .map_err(|error| checksums::unreadable_body_error(&error.to_string()))?,
            None => return Err(s3_error!(IncompleteBody, "The request has no body")),
        };
        let body = body.to_bytes();
        let trailer = request.trailing_headers.and_then(|trailer| trailer.take());
        let checksums = checksums::verify_checksums(&body, &request.headers, trailer.as_ref())?;
        let input = request.input;
        let attributes = object_outputs::attributes_of_put(&input, checksums);
        let condition = |present: Option<&_>| {
            conditions::check_write_conditions(
                present,
                input.if_match.as_ref(),
                input.if_none_match.as_ref(),
            )
        };
        let head = self.store.put(
            &input.bucket,
            &input.key,
            &body,
            attributes,
            SystemTime::now(),
            condition,
        )?;
        Ok(S3Response::new(object_outputs::put_output(&head)))
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let identity = self
            .identities
            .identity_of_signer(request.credentials.as_ref())?;
        let input = request.input;
        let CopySource::Bucket {
            bucket,
            key,
            version_id: None,
        } = &input.copy_source
        else {
            return Err(s3_error!(
                NotImplemented,
                "Only a bucket and a key can be copied from"
            ));
        };
        self.identities.check_permission(
            identity,
            &policies::requested_access("GetObject", bucket, key, "", &HeaderMap::new()),
        )?;
        let (source, body) = self
            .store
            .get(bucket, key)?
            .ok_or_else(|| self.identities.missing_key_error(identity, bucket, key))?;
        let mut attributes = source.attributes;
        if input
            .metadata_directive
            .is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE)
        {
            attributes.content_type = input.content_type;
            attributes.metadata = input.metadata.into_iter().flatten().collect();
        }
        let head = self.store.put(
            &input.bucket,
            &input.key,
            &body,
            attributes,
            SystemTime::now(),
            |_| Ok(()),
        )?;
        let result = CopyObjectResult {
            e_tag: Some(ETag::Strong(head.etag)),
            last_modified: Some(Timestamp::from(head.modified)),
            ..Default::default()
        };
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(result),
            ..Default::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        self.store.delete(&input.bucket, &input.key, |present| {
            conditions::check_write_conditions(present, input.if_match.as_ref(), None)
        })?;
        Ok(S3Response::with_status(
            DeleteObjectOutput::default(),
            http::StatusCode::NO_CONTENT,
        ))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let identity = self
            .identities
            .identity_of_signer(request.credentials.as_ref())?;
        let input = request.input;
        self.store
            .region(&input.bucket)
            .ok_or_else(no_such_bucket)?;
        if input.delete.objects.len() > 1000 {
            return Err(s3_error!(
                MalformedXML,
                "The XML you provided was not well-formed or did not validate against our published schema"
            ));
        }
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in input.delete.objects {
            let asked = policies::requested_access(
                "DeleteObject",
                &input.bucket,
                &object.key,
                "",
                &HeaderMap::new(),
            );
            let permitted = self.identities.check_permission(identity, &asked);
            match permitted.and_then(|()| self.store.delete(&input.bucket, &object.key, |_| Ok(())))
            {
                Ok(()) => deleted.push(DeletedObject {
                    key: Some(object.key),
                    ..Default::default()
                }),
                Err(error) => errors.push(Error {
                    code: Some(error.code().as_str().to_owned()),
                    message: error.message().map(str::to_owned),
                    key: Some(object.key),
                    ..Default::default()
                }),
            }
        }
        if input.delete.quiet == Some(true) {
            deleted.clear();
        }
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: Some(deleted),
            errors: Some(errors),
            ..Default::default()
        }))
    }
}

fn is_checksum_mode_enabled(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
}
