//! The attributes of a subject that have a name: OpenSSL's short names, in their spelling.
//!
//! A misspelt one would be empty for every certificate, so it is refused when the file is read.

/// Every name, sorted without case.
pub(crate) const SUBJECT_ATTRIBUTES: &[&str] = &[
    "aRecord",
    "associatedDomain",
    "associatedName",
    "audio",
    "authorityRevocationList",
    "buildingName",
    "businessCategory",
    "C",
    "c3",
    "cACertificate",
    "certificateRevocationList",
    "challengePassword",
    "classSignTool",
    "CN",
    "cNAMERecord",
    "contentType",
    "countersignature",
    "crossCertificatePair",
    "CSPName",
    "DC",
    "deltaRevocationList",
    "description",
    "destinationIndicator",
    "distinguishedName",
    "dITRedirect",
    "dmdName",
    "dnQualifier",
    "dnsName",
    "documentAuthor",
    "documentIdentifier",
    "documentLocation",
    "documentPublisher",
    "documentTitle",
    "documentVersion",
    "dSAQuality",
    "emailAddress",
    "enhancedSearchGuide",
    "extendedCertificateAttributes",
    "extReq",
    "facsimileTelephoneNumber",
    "favouriteDrink",
    "friendlyCountryName",
    "friendlyName",
    "generationQualifier",
    "GN",
    "homePostalAddress",
    "homeTelephoneNumber",
    "host",
    "houseIdentifier",
    "info",
    "initials",
    "INN",
    "internationaliSDNNumber",
    "issuerSignTool",
    "janetMailbox",
    "jurisdictionC",
    "jurisdictionL",
    "jurisdictionST",
    "L",
    "lastModifiedBy",
    "lastModifiedTime",
    "localKeyID",
    "LocalKeySet",
    "mail",
    "mailPreferenceOption",
    "manager",
    "member",
    "messageDigest",
    "mobileTelephoneNumber",
    "mXRecord",
    "n3",
    "name",
    "nSRecord",
    "O",
    "OGRN",
    "OGRNIP",
    "organizationalStatus",
    "organizationIdentifier",
    "otherMailbox",
    "OU",
    "owner",
    "pagerTelephoneNumber",
    "personalSignature",
    "personalTitle",
    "photo",
    "physicalDeliveryOfficeName",
    "pilotAttributeType27",
    "postalAddress",
    "postalCode",
    "postOfficeBox",
    "preferredDeliveryMethod",
    "presentationAddress",
    "protocolInformation",
    "pseudonym",
    "registeredAddress",
    "role",
    "roleOccupant",
    "roomNumber",
    "searchGuide",
    "secretary",
    "seeAlso",
    "serialNumber",
    "signingTime",
    "singleLevelQuality",
    "SMIME",
    "SN",
    "SNILS",
    "sOARecord",
    "ST",
    "street",
    "subjectSignTool",
    "subtreeMaximumQuality",
    "subtreeMinimumQuality",
    "supportedAlgorithms",
    "supportedApplicationContext",
    "telephoneNumber",
    "teletexTerminalIdentifier",
    "telexNumber",
    "textEncodedORAddress",
    "title",
    "UID",
    "uniqueMember",
    "unstructuredAddress",
    "unstructuredName",
    "userCertificate",
    "userClass",
    "userPassword",
    "x121Address",
    "x500UniqueIdentifier",
];

/// Those that no variable can be called by.
const DASHED: [&str; 6] = [
    "id-pda-countryOfCitizenship",
    "id-pda-countryOfResidence",
    "id-pda-dateOfBirth",
    "id-pda-gender",
    "id-pda-placeOfBirth",
    "SMIME-CAPS",
];

/// The spelling of any of them, in whatever case it is written.
pub(crate) fn spelling(name: &str) -> Option<&'static str> {
    let mut all = SUBJECT_ATTRIBUTES.iter().chain(&DASHED).copied();
    all.find(|known| known.eq_ignore_ascii_case(name))
}

/// Is it one of [`SUBJECT_ATTRIBUTES`] in lower case, as variables and lists have them?
pub(crate) fn is_attribute(lower: &str) -> bool {
    !lower.bytes().any(|byte| byte.is_ascii_uppercase())
        && SUBJECT_ATTRIBUTES.iter().any(|known| known.eq_ignore_ascii_case(lower))
}

/// Is it an object identifier in dotted numbers?
pub(crate) fn is_dotted(text: &str) -> bool {
    let number = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        digits && (part == "0" || !part.starts_with('0')) && part.parse::<u32>().is_ok()
    };
    let mut parts = text.split('.');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let small = |part: &str, end: u32| part.parse::<u32>().is_ok_and(|number| number < end);
    text.split('.').all(number)
        && (small(first, 2) && small(second, 40) || first == "2" && number(second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_fit_behind_a_dollar() {
        let lower: Vec<_> = SUBJECT_ATTRIBUTES.iter().map(|name| name.to_lowercase()).collect();
        assert!(lower.windows(2).all(|pair| pair[0] < pair[1]));
        let legal = |byte: u8| byte.is_ascii_alphanumeric();
        assert!(SUBJECT_ATTRIBUTES.iter().all(|name| name.bytes().all(legal)));
    }
}
